module ollamamax/bench

go 1.26.8
