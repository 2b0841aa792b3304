package balancer_test

import (
	"testing"

	"ollamamax/gateway/internal/balancer"
)

func TestAModelIsLoadedWhereThereIsMostRoom(t *testing.T) {
	hosts := []balancer.Host{
		{Hash: 1, Models: 1}, {Hash: 2, Models: 2, Room: true}, {Hash: 3, Models: 1, Room: true}, {Hash: 4, Room: true, Full: true},
	}
	if chosen := balancer.Placement(hosts, 9); chosen != 2 {
		t.Errorf("chose %d", chosen)
	}
}

func TestWithoutRoomTheModelThatIdledForLongestMakesWay(t *testing.T) {
	hosts := []balancer.Host{{Hash: 1, Models: 3, Idle: 30}, {Hash: 2, Models: 3, Idle: 10}, {Hash: 3, Models: 3, Idle: 20}}
	if chosen := balancer.Placement(hosts, 9); chosen != 1 {
		t.Errorf("chose %d", chosen)
	}
}

func TestModelsSpreadOverEqualHostsAndEachHasItsOwn(t *testing.T) {
	hosts := []balancer.Host{{Hash: 1, Room: true}, {Hash: 2, Room: true}, {Hash: 3, Room: true}}
	share := map[int]int{}
	for model := range uint64(300) {
		chosen := balancer.Placement(hosts, model+1)
		swapped := balancer.Placement([]balancer.Host{hosts[2], hosts[0], hosts[1]}, model+1)
		if chosen != (swapped+2)%3 {
			t.Fatalf("model %d is placed by the order of the hosts", model)
		}
		share[chosen]++
	}
	for host, models := range share {
		if models < 60 || models > 140 {
			t.Errorf("host %d gets %d of 300 models", host, models)
		}
	}
	if chosen := balancer.Placement([]balancer.Host{{Full: true}}, 1); chosen != balancer.None {
		t.Errorf("chose %d of full ones", chosen)
	}
}
