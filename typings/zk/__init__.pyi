from zk.base import ZK as ZK
