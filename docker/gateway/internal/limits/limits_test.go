package limits

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/reply"
)

var morning = time.Date(2026, 1, 30, 9, 0, 0, 0, time.UTC)

// limited returns limits of one key, and a function that counts what was refused.
func limited(limits auth.Limits) (*Limits, *auth.Key, func() string) {
	var mu sync.Mutex
	var refused []string
	l := New(func(limit string) {
		mu.Lock()
		defer mu.Unlock()
		refused = append(refused, limit)
	})
	key := auth.Key{ID: 7, Limits: limits}
	l.Know([]auth.Key{key})
	return l, &key, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(refused, " ")
	}
}

// admitted returns how many of n requests pass.
func admitted(l *Limits, now time.Time, key *auth.Key, n int) int {
	passed := 0
	for range n {
		if _, refusal := l.Admit(now, key, true); refusal == nil {
			passed++
		}
	}
	return passed
}

func headers(h interface {
	Headers(set func(name, value string))
}) http.Header {
	all := http.Header{}
	h.Headers(all.Set)
	return all
}

func TestAMinutesRequestsPassAndTheNextIsToldWhenToComeBack(t *testing.T) {
	l, key, refused := limited(auth.Limits{RequestsPerMinute: 6})
	if n := admitted(l, morning, key, 10); n != 6 {
		t.Fatalf("%d of 10 passed, not 6", n)
	}
	standing, refusal := l.Admit(morning, key, true)
	if refusal == nil || refusal.Status != 429 || headers(refusal).Get("Retry-After") != "10" {
		t.Fatalf("refusal %+v", refusal)
	}
	if got := fmt.Sprint(headers(&standing)); got != "map[X-Ratelimit-Limit-Requests:[6] X-Ratelimit-Remaining-Requests:[0] X-Ratelimit-Reset-Requests:[1m0s]]" {
		t.Errorf("headers %s", got)
	}
	if n := admitted(l, morning.Add(10*time.Second), key, 10); n != 1 {
		t.Errorf("%d passed after 10 s, not 1", n)
	}
	if n := admitted(l, morning.Add(time.Hour), key, 10); n != 6 {
		t.Errorf("%d passed after an hour, not 6: rest is not saved beyond a minute's worth", n)
	}
	if want := strings.TrimSpace(strings.Repeat("requests ", 4+1+9+4)); refused() != want {
		t.Errorf("counted %s", refused())
	}
}

func TestARefusalHasTheShapeOfItsAPI(t *testing.T) {
	l, key, _ := limited(auth.Limits{RequestsPerMinute: 1})
	_, _ = l.Admit(morning, key, true)
	_, refusal := l.Admit(morning, key, true)
	message := "this key's limit of 1 requests a minute is reached: try again in 60 s"
	if got := string(refusal.Body("/api/chat")); got != `{"error":"`+message+`"}` {
		t.Errorf("Ollama: %s", got)
	}
	if got := string(refusal.Body("/v1/chat/completions")); got != `{"error":{"message":"`+message+`","type":"requests","param":null,"code":"rate_limit_exceeded"}}` {
		t.Errorf("OpenAI: %s", got)
	}
}

func TestTokensAreChargedAtTheEndAndADebtIsWaitedFor(t *testing.T) {
	l, key, refused := limited(auth.Limits{TokensPerMinute: 600})
	if n := admitted(l, morning, key, 3); n != 3 {
		t.Fatalf("%d of 3 passed while nothing was used", n)
	}
	l.Charge(morning, key, 500)
	if n := admitted(l, morning, key, 1); n != 1 {
		t.Fatal("refused with 100 tokens left")
	}
	l.Charge(morning, key, 700)
	standing, refusal := l.Admit(morning, key, true)
	if refusal == nil || refusal.Kind != "tokens" || headers(refusal).Get("Retry-After") != "61" {
		t.Fatalf("with a debt of 600: %+v", refusal)
	}
	if h := headers(&standing); h.Get("X-Ratelimit-Remaining-Tokens") != "0" || h.Get("X-Ratelimit-Reset-Tokens") != "2m0s" {
		t.Errorf("headers %v", h)
	}
	if _, refusal := l.Admit(morning, key, false); refusal != nil {
		t.Errorf("a request that uses no tokens is refused: %+v", refusal)
	}
	if n := admitted(l, morning.Add(61*time.Second), key, 1); n != 1 {
		t.Error("refused at the time that was named")
	}
	if refused() != "tokens" {
		t.Errorf("counted %s", refused())
	}
}

func TestAMonthsBudgetCountsWhatAllGatewaysWroteAndWhatThisOneHasNot(t *testing.T) {
	l, key, refused := limited(auth.Limits{TokensPerMonth: 1000})
	january := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	settle := func(recorded, flushed int64) {
		l.Settle(january, map[int64]int64{7: recorded}, map[int64]int64{7: flushed})
	}
	left := func() bool { return admitted(l, morning, key, 1) == 1 }
	settle(400, 0)
	l.Charge(morning, key, 300)
	if !left() {
		t.Fatal("refused at 700 of 1000")
	}
	settle(900, 300) // of which 200 are another gateway's
	if !left() {
		t.Fatal("refused at 900 of 1000: what was flushed counts twice")
	}
	l.Charge(morning, key, 100)
	if left() {
		t.Fatal("passed at 1000 of 1000")
	}
	_, refusal := l.Admit(morning, key, true)
	if refusal.Status != 429 || refusal.Code != "insufficient_quota" ||
		refusal.Message != "this key's budget of 1000 tokens a month is used up: the next begins on 2026-02-01, 00:00 UTC" {
		t.Errorf("refusal %+v", refusal)
	}
	february := time.Date(2026, 2, 1, 0, 0, 1, 0, time.UTC)
	if n := admitted(l, february, key, 1); n != 1 {
		t.Error("refused in the next month")
	}
	settle(1000, 100) // read before the month ended
	if n := admitted(l, february, key, 1); n != 1 {
		t.Error("last month's use counts in this one")
	}
	if refused() != "insufficient_quota insufficient_quota" {
		t.Errorf("counted %s", refused())
	}
}

func TestABudgetGivenAsTheDatabaseWasNotAskedIsStillToBeRead(t *testing.T) {
	l, key, _ := limited(auth.Limits{TokensPerMinute: 1000, TokensPerMonth: 100})
	january := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l.Charge(morning, key, 60)
	l.Settle(january, nil, map[int64]int64{7: 60})
	if !l.Know([]auth.Key{*key}) {
		t.Error("a budget has been read that nobody asked for")
	}
	l.Settle(january, map[int64]int64{7: 60}, nil)
	if l.Know([]auth.Key{*key}) {
		t.Error("a budget that has been read is still to be read")
	}
	l.Charge(morning, key, 39)
	if admitted(l, morning, key, 1) != 1 {
		t.Error("refused at 99 of 100: what was written before the budget counts twice")
	}
}

func TestTheLargestLimitsAreReckonedWithToo(t *testing.T) {
	l, key, _ := limited(auth.Limits{RequestsPerMinute: math.MaxInt64, TokensPerMinute: math.MaxInt64, TokensPerMonth: math.MaxInt64})
	l.Charge(morning, key, 1e12)
	standing, refusal := l.Admit(morning, key, true)
	if refusal != nil || standing.Requests.Remaining != math.MaxInt64 || standing.Tokens.Remaining < math.MaxInt64-2e12 {
		t.Errorf("%+v, %v", standing, refusal)
	}
}

func TestAChangedLimitHoldsAtOnceAndWhatWasUsedStaysUsed(t *testing.T) {
	l, key, _ := limited(auth.Limits{RequestsPerMinute: 10})
	if n := admitted(l, morning, key, 8); n != 8 {
		t.Fatal(n)
	}
	change := func(limit int64) {
		key = &auth.Key{ID: 7, Limits: auth.Limits{RequestsPerMinute: limit}}
		l.Know([]auth.Key{*key})
	}
	change(100)
	if n := admitted(l, morning, key, 8); n != 2 {
		t.Errorf("%d passed, not the 2 that were left", n)
	}
	change(0)
	if n := admitted(l, morning, key, 50); n != 50 {
		t.Errorf("%d of 50 passed without a limit", n)
	}
	change(5)
	if n := admitted(l, morning, key, 8); n != 5 {
		t.Errorf("%d passed under a new limit of 5", n)
	}
	l.Know(nil)
	if n := admitted(l, morning, key, 8); n != 8 {
		t.Errorf("%d passed of a key that was forgotten", n)
	}
}

func TestManyRequestsAtOncePassNoMoreThanTheLimit(t *testing.T) {
	l, key, _ := limited(auth.Limits{RequestsPerMinute: 1000})
	var wait sync.WaitGroup
	passed := make([]int, 16)
	for i := range passed {
		wait.Go(func() { passed[i] = admitted(l, morning.Add(time.Duration(-i)), key, 1000) })
	}
	wait.Wait()
	sum := 0
	for _, n := range passed {
		sum += n
	}
	if sum != 1000 {
		t.Errorf("%d passed", sum)
	}
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	l, key, _ := limited(auth.Limits{RequestsPerMinute: 1e9, TokensPerMinute: 1e9, TokensPerMonth: 1e12})
	var refusal *reply.Refusal
	var standing Standing
	out := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		standing, refusal = l.Admit(morning, key, true)
		out = standing.Append(out[:0])
		l.Charge(morning, key, 10)
	}); n != 0 || refusal != nil {
		t.Errorf("%v allocations, %v", n, refusal)
	}
}

// gateways are limits that share one key through totals as Redis keeps them.
type gateways struct {
	limits []*Limits
	peers  []*Exchange
	totals map[string]map[string]int64 // by name
	key    *auth.Key
}

func sharing(n int, limits auth.Limits) *gateways {
	g := &gateways{totals: map[string]map[string]int64{}, key: &auth.Key{ID: 7, Limits: limits}}
	for i := range n {
		l := New(func(string) {})
		l.Know([]auth.Key{*g.key})
		g.limits = append(g.limits, l)
		e := NewExchange(l, fmt.Sprint("gateway-", i), nil, nil, func(int, int) {})
		e.first = true
		g.peers = append(g.peers, e)
	}
	return g
}

// exchange lets every gateway exchange once, in turn.
func (g *gateways) exchange(now time.Time) {
	for i, peer := range g.peers {
		mine := g.limits[i].unsent()
		mine["gateway:"+peer.gateway] = 1
		name := peer.turnTo(now)
		if g.totals[name] == nil {
			g.totals[name] = map[string]int64{}
		}
		for field, used := range mine {
			g.totals[name][field] += used
		}
		peer.tick++
		peer.apply(now, maps.Clone(g.totals[name]), mine)
	}
}

func TestGatewaysTakeOffWhatTheOthersLetThrough(t *testing.T) {
	g := sharing(3, auth.Limits{RequestsPerMinute: 60, TokensPerMinute: 6000})
	now := morning
	for range 2 { // the first totals that each reads are old
		g.exchange(now)
	}
	if n := admitted(g.limits[0], now, g.key, 60); n != 60 {
		t.Fatalf("one gateway lets %d of the limit of 60 pass", n)
	}
	g.limits[0].Charge(now, g.key, 7000)
	for range 2 {
		g.exchange(now)
	}
	for i, l := range g.limits {
		standing, refusal := l.Admit(now, g.key, true)
		if refusal == nil || standing.Requests.Remaining != 0 || standing.Tokens.Remaining != 0 || standing.Tokens.Reset != 70*time.Second {
			t.Errorf("gateway %d: %+v, %v", i, standing, refusal)
		}
	}
	for i := range g.peers {
		if g.peers[i].known != 3 {
			t.Errorf("gateway %d knows %d gateways", i, g.peers[i].known)
		}
	}
}

// However a client spreads its requests, all gateways together let no more pass than the limit and what comes
// in between two exchanges.
func TestTogetherGatewaysKeepToTheLimit(t *testing.T) {
	g := sharing(4, auth.Limits{RequestsPerMinute: 60})
	now := morning
	for range 2 {
		g.exchange(now)
	}
	passed := 0
	for second := range 600 {
		now = morning.Add(time.Duration(second) * time.Second)
		for i := range 5 {
			passed += admitted(g.limits[(second+i)%4], now, g.key, 1)
		}
		g.exchange(now)
	}
	// Ten minutes' worth, a full bucket at the start, and a second of each gateway's own.
	if most := 660 + 4*5; passed > most || passed < 600 {
		t.Errorf("%d passed in ten minutes, not between 600 and %d", passed, most)
	}
}

func TestAClockThatIsSetBackTakesNothingOffTwice(t *testing.T) {
	g := sharing(2, auth.Limits{RequestsPerMinute: 60})
	before, after := morning.Add(-time.Minute), morning.Add(time.Minute) // the turn of an hour is between them
	for range 2 {
		g.exchange(before)
	}
	if n := admitted(g.limits[0], before, g.key, 60); n != 60 {
		t.Fatalf("%d pass", n)
	}
	g.exchange(before)
	if n := admitted(g.limits[1], before, g.key, 60); n != 0 {
		t.Fatalf("%d pass once the other gateway let all pass", n)
	}
	g.exchange(after)
	passed := admitted(g.limits[1], after, g.key, 1)
	g.exchange(before)
	if passed += admitted(g.limits[1], after, g.key, 60); passed != 60 {
		t.Errorf("%d pass two minutes later, not 60", passed)
	}
}

func TestWithoutRedisAGatewayKeepsToItsPart(t *testing.T) {
	g := sharing(3, auth.Limits{RequestsPerMinute: 60})
	for range 2 {
		g.exchange(morning)
	}
	e, l := g.peers[0], g.limits[0]
	e.dial = func(context.Context) (redis.Conn, error) { return nil, errors.New("away") }
	e.once(t.Context(), morning)
	passed := admitted(l, morning, g.key, 100)
	for second := range 60 {
		passed += admitted(l, morning.Add(time.Duration(second+1)*time.Second), g.key, 100)
	}
	if passed != 40 {
		t.Errorf("%d passed in a minute, not 20 at once and 20 more", passed)
	}
	// One that leaves is not reckoned with for long.
	g.peers, g.limits = g.peers[1:], g.limits[1:]
	for range silentFor + 1 {
		g.exchange(morning)
	}
	if g.peers[0].known != 2 {
		t.Errorf("%d gateways are known after one of three fell silent", g.peers[0].known)
	}
	if limit := smallest(t); limit != 1 {
		t.Errorf("a limit of 1 lets %d pass on one of two gateways", limit)
	}
}

// smallest returns what a part of the smallest limit lets pass.
func smallest(t *testing.T) int {
	t.Helper()
	l, key, _ := limited(auth.Limits{RequestsPerMinute: 1})
	l.parts.Store(2)
	return admitted(l, morning, key, 3)
}

func BenchmarkAdmitAndCharge(b *testing.B) {
	l, key, _ := limited(auth.Limits{RequestsPerMinute: 1e9, TokensPerMinute: 1e9, TokensPerMonth: 1e12})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			now := time.Now()
			_, _ = l.Admit(now, key, true)
			l.Charge(now, key, 10)
		}
	})
}
