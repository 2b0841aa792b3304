package balancer

// Host is a node on which a model would have to be loaded before it answers.
type Host struct {
	Hash   uint64 // of the node's name: the same in every gateway
	Models int    // loaded now
	Room   bool   // one more fits beside them
	Idle   int64  // time of the last use of the one that would make way, where there is no room
	Full   bool   // not to be chosen
}

// Placement returns where to load a model: on the host with room that has the fewest models, or else where
// the model that makes way has been idle for longest. Gateways that see the same hosts choose the same one.
func Placement(hosts []Host, model uint64) int {
	best := None
	for i := range hosts {
		if !hosts[i].Full && (best == None || better(&hosts[i], &hosts[best], model)) {
			best = i
		}
	}
	return best
}

func better(a, b *Host, model uint64) bool {
	switch {
	case a.Room != b.Room:
		return a.Room
	case a.Room && a.Models != b.Models:
		return a.Models < b.Models
	case !a.Room && a.Idle != b.Idle:
		return a.Idle < b.Idle
	}
	return mix(a.Hash^model) > mix(b.Hash^model)
}
