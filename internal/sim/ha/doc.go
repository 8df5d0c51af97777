// Package ha is a test without a program: it runs three nodes of Patroni,
// PostgreSQL and etcd on one machine, breaks them under load, and proves that no
// payment that was acknowledged is lost and none done twice.
//
// Between the nodes, and between them and the servers, all goes through a
// network in this process that knows from which node a connection comes, so that
// a node can be cut off both ways without any privilege.
package ha
