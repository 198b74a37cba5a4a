// Reads a terminal with a client by others and prints what that client says of it, as lines of JSON.
//
//   node read.js CLIENT whole|events HOST PORT
//
// `whole`: one line with users, log and whatever else the client can ask. `events`: a line "ready", then one
// line for each event, until standard input ends. Times are the terminal's wall time (run with TZ=UTC).
'use strict';

const [client, mode, host, port] = process.argv.slice(2);
const TIMEOUT_MS = 20000;
const A_FREE_PORT = 0;

const print = (fact) => new Promise((done) => process.stdout.write(JSON.stringify(fact) + '\n', done));
const wall = (date) => new Date(date).toISOString().slice(0, 19);
// The clients tell of their progress on standard output, which is for the facts.
console.log = console.error;

async function wholeOfSisters(terminal, records) {
  const facts = { info: await terminal.getInfo() };
  const users = await terminal.getUsers();
  const log = await terminal.getAttendances();
  return { ...facts, users: users.data, log: log.data.map(records), error: String(users.err || log.err || '') };
}

async function nodeZklib() {
  const terminal = new (require('node-zklib'))(host, Number(port), TIMEOUT_MS, A_FREE_PORT);
  await terminal.createSocket();
  if (mode === 'events') return events(terminal);
  const facts = await wholeOfSisters(terminal, (one) => ({ ...one, recordTime: wall(one.recordTime) }));
  facts.transport = terminal.connectionType;
  await terminal.disconnect();
  await print(facts);
}

async function zktecoJs() {
  const terminal = new (require('zkteco-js'))(host, Number(port), TIMEOUT_MS, A_FREE_PORT);
  await terminal.createSocket();
  if (mode === 'events') return events(terminal);
  const facts = {
    serial: await terminal.getSerialNumber(),
    firmware: await terminal.getFirmware(),
    platform: await terminal.getPlatform(),
    name: await terminal.getDeviceName(),
    mac: await terminal.getMacAddress(),
    time: wall(await terminal.getTime()),
  };
  await terminal.setTime(new Date('2026-05-31T23:59:58'));
  facts.timeSet = wall(await terminal.getTime());
  Object.assign(facts, await wholeOfSisters(terminal, (one) => ({ ...one, record_time: wall(one.record_time) })));
  await terminal.disconnect();
  await print(facts);
}

async function events(terminal) {
  const told = ({ userId, attTime }) => print({ userId, attTime: wall(attTime) });
  await terminal.getRealTimeLogs(told);
  // Ready once both answers, to the registration and to this, were taken off the line: an event that comes
  // together with one of them is lost on these clients.
  const socket = (terminal.zklibTcp || terminal.ztcp).socket;
  const answers = twoFrames(socket);
  await terminal.executeCmd(1100, '');
  await answers;
  print('ready');
  process.stdin.resume().on('end', () => process.exit(0));
}

function twoFrames(socket) {
  let taken = Buffer.alloc(0);
  return new Promise((resolve) => {
    socket.on('data', (data) => {
      taken = Buffer.concat([taken, data]);
      const second = taken.length >= 8 ? 8 + taken.readUInt32LE(4) : Infinity;
      if (taken.length >= second + 8 && taken.length >= second + 8 + taken.readUInt32LE(second + 4)) resolve();
    });
  });
}

async function zklib() {
  const facts = {
    serial: await askZklib('serialNumber'),
    version: await askZklib('version'),
    time: wall(await askZklib('getTime')),
    users: await askZklib('getUser'),
    log: (await askZklib('getAttendance')).map((one) => ({ ...one, timestamp: wall(one.timestamp) })),
  };
  await print(facts);
}

// A port that nobody has at the moment.
function freePort() {
  return new Promise((resolve) => {
    const socket = require('dgram').createSocket('udp4');
    socket.bind(0, () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

// A session, and a port of ours, for each question: it takes the ACK that closes a transfer for the answer to
// the next request, and so the answer to EXIT would come to the session after.
async function askZklib(name) {
  const terminal = new (require('zklib'))({
    ip: host,
    port: Number(port),
    inport: await freePort(),
    timeout: TIMEOUT_MS,
    attendanceParser: 'v6.60',
  });
  const call = (one) =>
    new Promise((resolve, reject) => terminal[one]((error, answer) => (error ? reject(error) : resolve(answer))));
  await call('connect');
  const answer = await call(name);
  await call('disconnect');
  return answer;
}

const clients = { 'node-zklib': nodeZklib, 'zkteco-js': zktecoJs, zklib };
clients[client]().then(
  () => mode === 'events' || process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  }
);
