// Stands for etcd3 where an agent's effects are tested that never ask etcd.
module.exports = { Etcd3: class {} };
