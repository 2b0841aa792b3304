// Package balancer chooses among nodes that can all answer a request. One strategy a file; none allocates
// or remembers.
package balancer

// None is what a strategy returns where no candidate can be chosen.
const None = -1

// Candidate is a node as the strategies see it.
type Candidate struct {
	Hash uint64  // of the node's name: the same in every gateway
	Load int     // requests under way
	Size float64 // the node's share of the load, relative to the others
	Full bool    // reckoned with, but not to be chosen
}
