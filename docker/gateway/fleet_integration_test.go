//go:build integration

package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// takes tells whether a gateway gives a node requests.
func (p place) takes(t *testing.T, node string) (takes bool, text string) {
	t.Helper()
	status, text := ask(t, firstKey, "GET", p.url+"/api/v1/nodes", "")
	var answer struct {
		Nodes []struct {
			Name    string
			Drained bool
			Here    struct {
				Takes bool `json:"takes_requests"`
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != 200 {
		t.Fatalf("nodes: %d %s", status, text)
	}
	for _, one := range answer.Nodes {
		if one.Name == node {
			return one.Here.Takes, text
		}
	}
	return false, text
}

func TestADrainHoldsOnEveryGatewayThroughARestartAndWhileTheDatabaseIsAway(t *testing.T) {
	one, two, database, redis := pair(t)
	const node = "worker-1"
	command := func(p place, name string) (int, string) {
		return ask(t, firstKey, "POST", p.url+"/api/v1/nodes/"+node+"/"+name, "{}")
	}
	settles := func(what string, want bool, gateways ...place) time.Duration {
		began := time.Now()
		for _, p := range gateways {
			within(t, p.name+" "+what, func() error {
				if takes, text := p.takes(t, node); takes != want {
					return fmt.Errorf("nodes: %s", text)
				}
				return nil
			})
		}
		return time.Since(began)
	}
	settles("takes in both workers", true, one, two)
	if status, text := command(one, "drain"); status != 200 {
		t.Fatalf("drain: %d %s", status, text)
	}
	if took := settles("drains the worker", false, one, two); took > time.Second {
		t.Errorf("the other gateway knows of the drain after %v", took)
	}
	three := configureAt(t, "gateway-3", database.Address, redis.Address)
	three.start(t)
	if takes, text := three.takes(t, node); takes {
		t.Errorf("a gateway that has just started: %s", text)
	}

	database.Pull()
	if status, text := command(two, "undrain"); status != 503 || text != `{"error":"the database does not answer"}` {
		t.Errorf("undrain without the database: %d %s", status, text)
	}
	if takes, text := two.takes(t, node); takes {
		t.Errorf("without the database: %s", text)
	}
	database.Plug()
	within(t, "the worker is taken in again", func() error {
		if status, text := command(two, "undrain"); status != 200 {
			return fmt.Errorf("undrain: %d %s", status, text)
		}
		return nil
	})
	settles("takes it in again", true, one, two, three)
}
