package live_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
)

func TestAClientGetsWhatThereIsAndThenWhatChanges(t *testing.T) {
	w := begin(t)
	w.set("letters", map[string]int{"b": 2, "a": 1})
	w.set("numbers", map[string]int{"one": 1})
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 3", "letters a 1", "letters b 2", "numbers one 1")
	w.set("letters", map[string]int{"b": 2, "a": 3}) // one of which is as it was
	f.wants(t, "letters a 3")
	w.remove("letters", "a")
	f.wants(t, "letters a gone")
	w.hub.Changed() // though nothing has
	w.set("numbers", map[string]int{"two": 2})
	f.wants(t, "numbers two 2")
	late := w.follow(t)
	late.wants(t, "snapshot of letters numbers: 3", "letters b 2", "numbers one 1", "numbers two 2")
}

func TestAClientFollowsTheTopicsThatItAsksFor(t *testing.T) {
	w := begin(t)
	w.set("letters", map[string]int{"a": 1})
	w.set("numbers", map[string]int{"one": 1})
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 2", "letters a 1", "numbers one 1")
	f.says(t, `{"subscribe":["numbers"]}`)
	f.wants(t, "snapshot of numbers: 1", "numbers one 1")
	w.set("letters", map[string]int{"a": 2})
	w.set("numbers", map[string]int{"one": 2})
	f.wants(t, "numbers one 2")
	f.says(t, `{"subscribe":["numbers","weather"]}`)
	f.wants(t, `error subscribe: "weather" is no topic: there are letters, numbers`)
	for _, odd := range []string{`{"unsubscribe":[]}`, `[]`, `{`, ``, `{"subscribe":null}`, `{"subscribe":[]} {}`} {
		f.says(t, odd)
		f.wants(t, `error not a message such as {"subscribe": ["nodes", "rates"]}`)
	}
	f.says(t, `{"subscribe":[]}`)
	f.wants(t, "snapshot of : 0")
	w.set("numbers", map[string]int{"one": 3})
	f.says(t, `{"subscribe":["letters"]}`)
	f.wants(t, "snapshot of letters: 1", "letters a 2")
	f.says(t, strings.Repeat(" ", 5000))
	if closed := f.ends(t); closed.Code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v", closed)
	}
}

func TestAClientThatIsNotUnderstoodIsHeardAgainOnceItIsToldSo(t *testing.T) {
	w := begin(t, func(c *config.Live) { c.Flush = 50 * time.Millisecond })
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 0")
	const said = 20
	for range said {
		f.says(t, `{`)
	}
	for told := range said {
		if messages, err := f.frame(t.Context()); err != nil || len(messages) != 1 || messages[0].Type != "error" {
			t.Fatalf("after %d: %v, %v", told, messages, err)
		}
	}
}

func TestAFrameHasABatchAtMostAndComesNoSoonerThanTheFlush(t *testing.T) {
	const flush = 40 * time.Millisecond
	w := begin(t, func(c *config.Live) { c.Batch, c.Flush = 10, flush })
	values := map[string]int{}
	for i := range 95 {
		values[fmt.Sprintf("%03d", i)] = i
	}
	w.set("letters", values)
	began := time.Now() // before the first frame can be sent
	f := w.follow(t)
	check := func(total int) {
		frames, got := 0, 0
		for ; got < total; frames++ {
			messages, err := f.frame(t.Context())
			if err != nil || len(messages) > 10 {
				t.Fatalf("%d messages, %v", len(messages), err)
			}
			got += len(messages)
		}
		if took := time.Since(began); took < time.Duration(frames-2)*flush {
			t.Errorf("%d frames in %s", frames, took)
		}
	}
	check(96)
	for key := range values {
		values[key] += 1000
	}
	began = time.Now()
	w.set("letters", values)
	check(95)
}

func TestNothingIsReadWhileNobodyIsThere(t *testing.T) {
	w := begin(t)
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 0")
	if w.reads.Load() == 0 {
		t.Fatal("nothing was read for a client")
	}
	_ = f.conn.CloseNow()
	eventually.True(t, "the client is gone", func() bool { return w.value(t, "ollamamax_live_clients") == 0 })
	time.Sleep(2 * 250 * time.Millisecond) // a look may have been due
	before := w.reads.Load()
	w.set("letters", map[string]int{"a": 1})
	time.Sleep(2 * 250 * time.Millisecond)
	if after := w.reads.Load(); after != before {
		t.Errorf("%d reads for nobody", after-before)
	}
	w.follow(t).wants(t, "snapshot of letters numbers: 1", "letters a 1")
}

func TestASlowClientIsToldHowMuchItMissedAndGetsWhatThereIs(t *testing.T) {
	const keys = 40
	w := beginWith(t, 10*time.Second, func(c *config.Live) { c.Buffer, c.Batch, c.Flush = 64, 32, time.Millisecond })
	slow := w.follow(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	last, missed, told := 0, 0, 0
	take := func() {
		messages, err := slow.frame(ctx)
		if err != nil {
			t.Fatalf("%d of %d, %d missed, %v by the metric: %v", last, told, missed, w.value(t, "ollamamax_live_dropped_total"), err)
		}
		for i, m := range messages {
			switch {
			case m.Type == "state" && m.Value.N < last:
				t.Fatalf("%v after %d", m, last)
			case m.Type == "state":
				last = m.Value.N
			case m.Type == "dropped":
				missed += m.Count
				if next := messages[i+1]; next.Type != "snapshot" || next.Count != keys {
					t.Errorf("then %v", next)
				}
			}
		}
	}
	for w.value(t, "ollamamax_live_dropped_total") == 0 {
		told++
		values := map[string]int{}
		for i := range keys {
			values[fmt.Sprint(i)] = told
		}
		w.tell(t, "letters", values)
		if told%8 == 0 { // so slow, but not stalled
			take()
		}
	}
	for last < told || float64(missed) != w.value(t, "ollamamax_live_dropped_total") {
		take()
	}
	if missed == 0 || missed > told*keys {
		t.Errorf("%d missed of %d", missed, told*keys)
	}
}

func TestWhatIsMissedOfOtherTopicsIsNotCounted(t *testing.T) {
	w := begin(t, func(c *config.Live) { c.Buffer, c.Batch = 16, 8 })
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 0")
	f.says(t, `{"subscribe":["letters"]}`)
	f.wants(t, "snapshot of letters: 0")
	many := map[string]int{}
	for i := range 24 {
		many[fmt.Sprint(i)] = i
	}
	w.set("letters", map[string]int{"a": 1, "b": 1})
	f.wants(t, "letters a 1", "letters b 1")
	w.tell(t, "numbers", many) // more at once than the ring holds
	f.says(t, `{`)             // whose answer shows that the client is past them
	f.wants(t, `error not a message such as {"subscribe": ["nodes", "rates"]}`)
	w.set("letters", map[string]int{"a": 2})
	f.wants(t, "letters a 2")
	w.set("letters", many)
	f.wants(t, "dropped 24", "snapshot of letters: 26")
	if dropped := w.value(t, "ollamamax_live_dropped_total"); dropped != 24 {
		t.Errorf("the metric says %v", dropped)
	}
}

func TestClientsAreRefusedWhoAreTooManyOrNoWebSocketsOrOfAnotherSite(t *testing.T) {
	w := begin(t, func(c *config.Live) { c.Clients, c.Origins = 1, []string{"https://console.example.com"} })
	host := strings.TrimPrefix(w.server.URL, "http://")
	ask := func(headers map[string]string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		response, err := small.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode == http.StatusSwitchingProtocols {
			return response.StatusCode, ""
		}
		text, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(text)
	}
	upgrade := func(headers ...string) map[string]string {
		all := map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
		}
		for i := 0; i < len(headers); i += 2 {
			all[headers[i]] = headers[i+1]
		}
		return all
	}
	for name, c := range map[string]struct {
		headers map[string]string
		status  int
		says    string
	}{
		"plain":                   {nil, 426, "connect to it as one"},
		"no origin":               {upgrade(), 101, ""},
		"this site":               {upgrade("Origin", "http://"+host), 101, ""},
		"this site, as the edge":  {upgrade("Origin", "https://edge:8443", "X-Forwarded-Host", "edge:8443"), 101, ""},
		"another port":            {upgrade("Origin", "https://edge:9443", "X-Forwarded-Host", "edge:8443"), 403, "gateway.live.origins"},
		"another site":            {upgrade("Origin", "https://evil.example.com"), 403, "pages of https://evil.example.com may not connect"},
		"a sandboxed page":        {upgrade("Origin", "null"), 403, "gateway.live.origins"},
		"a site of the settings":  {upgrade("Origin", "https://console.example.com"), 101, ""},
		"not one, but begins so":  {upgrade("Origin", "https://console.example.com.evil.com"), 403, ""},
		"another protocol's form": {upgrade("Sec-WebSocket-Version", "8"), 400, "only 13"},
	} {
		eventually.True(t, "the one before is gone", func() bool { return w.value(t, "ollamamax_live_clients") == 0 })
		if status, text := ask(c.headers); status != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	eventually.True(t, "nobody is there", func() bool { return w.value(t, "ollamamax_live_clients") == 0 })
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 0")
	if status, text := ask(upgrade()); status != 503 || !strings.Contains(text, "gateway.live.clients") {
		t.Errorf("one too many: %d %s", status, text)
	}
	if refused := w.value(t, "ollamamax_live_refused_total"); refused != 1 {
		t.Errorf("%v refused", refused)
	}
}

func TestAClientWhoseKeyIsGoodNoLongerIsTurnedOut(t *testing.T) {
	w := begin(t)
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 0")
	w.revoked.Store(true)
	began := time.Now()
	if closed := f.ends(t); closed.Code != websocket.StatusPolicyViolation || closed.Reason != "the API key is good no longer" {
		t.Errorf("closed with %v", closed)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("after %s", took)
	}
}

func TestAGatewayThatStopsSaysSo(t *testing.T) {
	w := begin(t)
	f := w.follow(t)
	f.wants(t, "snapshot of letters numbers: 0")
	w.hub.Close()
	if closed := f.ends(t); closed.Code != websocket.StatusGoingAway {
		t.Errorf("closed with %v", closed)
	}
	if closed := w.follow(t).ends(t); closed.Code != websocket.StatusGoingAway {
		t.Errorf("one that came later: %v", closed)
	}
}

func TestAClientThatAnswersNoPingIsGone(t *testing.T) {
	w := begin(t)
	w.hub.PingEvery(800 * time.Millisecond) // half of which there is for an answer
	_ = w.follow(t)                         // which reads nothing, and so answers nothing
	eventually.True(t, "it is gone", func() bool { return w.value(t, "ollamamax_live_stalled_total") == 1 })
	var pings atomic.Int64
	alive := w.followWith(t, websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool { return pings.Add(1) > 0 }})
	alive.wants(t, "snapshot of letters numbers: 0")
	go func() { _, _ = alive.frame(t.Context()) }() // which takes pings in, and nothing else comes
	eventually.True(t, "the time for an answer is over, twice", func() bool { return pings.Load() >= 3 })
	if clients := w.value(t, "ollamamax_live_clients"); clients != 1 {
		t.Errorf("one that answers: %v", clients)
	}
}

// heap is what is in use.
func heap() uint64 {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.HeapInuse + memory.StackInuse
}

// numbers are the values of the states in a frame, which is not decoded: a thousand clients would be busy with
// nothing else.
func numbers(text []byte) (all []int) {
	for {
		var found bool
		if _, text, found = bytes.Cut(text, []byte(`"value":{"n":`)); !found {
			return all
		}
		digits, _, _ := bytes.Cut(text, []byte{'}'})
		n, _ := strconv.Atoi(string(digits))
		all = append(all, n)
	}
}

func TestAThousandClientsOfWhomFiftyTakeNothingIn(t *testing.T) {
	const clients, stalled, rounds, keys = 1000, 50, 12, 20
	w := beginWith(t, 5*time.Second, func(c *config.Live) { c.Buffer = 1000 })
	goroutines, before := runtime.NumGoroutine(), heap()
	var all []*follower
	for i := range clients {
		w.roomy.Store(i >= stalled)
		all = append(all, w.follow(t))
	}
	var readers sync.WaitGroup
	var done atomic.Int64
	for _, f := range all[stalled:] {
		readers.Go(func() {
			last := 0
			for {
				_, text, err := f.conn.Read(context.Background())
				switch {
				case err != nil && last < rounds:
					t.Errorf("after round %d: %v", last, err)
					return
				case err != nil:
					return
				case bytes.Contains(text, []byte(`"type":"dropped"`)):
					t.Errorf("%s", text)
				}
				for _, n := range numbers(text) {
					if n < last {
						t.Errorf("%d after %d", n, last)
					}
					if n == rounds && last < rounds {
						done.Add(1)
					}
					last = n
				}
			}
		})
	}
	eventually.True(t, "all are there", func() bool { return w.value(t, "ollamamax_live_clients") == clients })
	for round := 1; round <= rounds; round++ {
		values := map[string]int{}
		for i := range keys {
			values[strings.Repeat(fmt.Sprint(i), 100)] = round
		}
		w.tell(t, "letters", values)
	}
	told := time.Now()
	eventually.True(t, "all others have what was told last", func() bool { return done.Load() == clients-stalled })
	t.Logf("%s after the last change all have it; %d KiB a client, both ends", time.Since(told), (heap()-before)/clients/1024)
	eventually.True(t, "those that take nothing in are gone", func() bool { return w.value(t, "ollamamax_live_stalled_total") == stalled })
	if left := w.value(t, "ollamamax_live_clients"); left != clients-stalled {
		t.Errorf("%v are left", left)
	}
	for _, f := range all {
		_ = f.conn.CloseNow()
	}
	readers.Wait()
	eventually.True(t, "nothing of them is left", func() bool {
		return w.value(t, "ollamamax_live_clients") == 0 && runtime.NumGoroutine() <= goroutines+5
	})
}
