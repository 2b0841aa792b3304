//go:build integration

package accounts_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/accounts"
	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/openapitest"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/storetest"
	"ollamamax/gateway/internal/usage"
)

// platform is the routes over the real database.
type platform struct {
	store   *store.Store
	mux     *http.ServeMux
	changes int
}

func open(t *testing.T) *platform {
	t.Helper()
	p := &platform{mux: http.NewServeMux()}
	p.store, _ = storetest.Open(t, 5, 5)
	accounts.New(p.store, func() { p.changes++ }).Routes(func(pattern string, handler http.HandlerFunc) { p.mux.HandleFunc(pattern, handler) })
	return p
}

var admin = auth.Key{Name: "root", Scopes: auth.Admin, Priority: auth.Normal}

// manager makes keys for a tenant, within limits of its own.
var manager = auth.Key{
	Name: "manager", Tenant: "acme", Scopes: auth.Keys | auth.Inference | auth.UsageRead, Priority: auth.Normal,
	Limits: auth.Limits{RequestsPerMinute: 100, TokensPerMonth: 1000}, Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
}

// answer is what any of the routes says.
type answer struct {
	Key    record
	Keys   []record
	Secret string
	Next   *string
	Error  string
	Usage  []row
}

type record struct {
	ID                  int64
	Name, Tenant        string
	Scopes              []string
	RequestsPerMinute   *int64 `json:"requests_per_minute"`
	TokensPerMinute     *int64 `json:"tokens_per_minute"`
	Priority, Source    string
	CreatedBy           string     `json:"created_by"`
	RevokedAt           *time.Time `json:"revoked_at"`
	OldSecretValidUntil *time.Time `json:"old_secret_valid_until"`
}

type row struct {
	Day, Key, Tenant, Model, Gateway string
	KeyID                            int64 `json:"key_id"`
	Requests, Failures               int64
	PromptTokens                     int64 `json:"prompt_tokens"`
	CompletionTokens                 int64 `json:"completion_tokens"`
}

// ask sends a request as a key and returns the status and the answer.
func (p *platform) ask(t *testing.T, by auth.Key, method, target, body string) (int, answer) {
	t.Helper()
	x := &exchange.Exchange{Start: time.Now(), Key: &by}
	r := httptest.NewRequestWithContext(exchange.With(t.Context(), x), method, target, strings.NewReader(body))
	w := httptest.NewRecorder()
	p.mux.ServeHTTP(w, r)
	openapitest.Check(t, method, target, w.Code, w.Body.Bytes())
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s %s: %d %s: %v", method, target, w.Code, w.Body, err)
	}
	if w.Code == http.StatusServiceUnavailable {
		t.Fatalf("%s %s: %v", method, target, x.Cause)
	}
	return w.Code, a
}

// make makes a key, or fails the test.
func (p *platform) make(t *testing.T, by auth.Key, body string) answer {
	t.Helper()
	status, a := p.ask(t, by, "POST", "/api/v1/keys", body)
	if status != 201 {
		t.Fatalf("%s: %d %s", body, status, a.Error)
	}
	return a
}

// known returns the key that a secret shows, as a gateway would find it.
func (p *platform) known(t *testing.T, secret string) (auth.Key, error) {
	t.Helper()
	all, err := p.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(secret))
	for _, key := range all {
		if key.Digest == digest || (key.Previous == digest && key.PreviousUntil.After(time.Now())) {
			return key, nil
		}
	}
	return auth.Key{}, errors.New("unknown")
}

func TestAKeyIsMadeChangedRotatedAndRevoked(t *testing.T) {
	p := open(t)
	made := p.make(t, admin, `{"name":"ci","tenant":"acme","requests_per_minute":60}`)
	if key, err := p.known(t, made.Secret); err != nil || key.ID != made.Key.ID || key.Limits.RequestsPerMinute != 60 {
		t.Fatalf("%+v, %v", key, err)
	}
	if !strings.HasPrefix(made.Secret, "omx_") || len(made.Secret) != 4+43 {
		t.Errorf("secret %q", made.Secret)
	}
	if k := made.Key; k.CreatedBy != "root" || k.Source != "issued" || strings.Join(k.Scopes, " ") != "inference models:read" || k.Priority != "normal" {
		t.Errorf("made %+v", k)
	}
	path := fmt.Sprint("/api/v1/keys/", made.Key.ID)
	if status, a := p.ask(t, admin, "GET", path, ""); status != 200 || a.Key.Name != "ci" || a.Secret != "" {
		t.Errorf("get: %d %+v", status, a)
	}
	status, a := p.ask(t, admin, "PATCH", path, `{"requests_per_minute":null,"tokens_per_minute":5,"scopes":["inference"]}`)
	if status != 200 || a.Key.RequestsPerMinute != nil || *a.Key.TokensPerMinute != 5 || a.Key.Name != "ci" || len(a.Key.Scopes) != 1 {
		t.Errorf("change: %d %+v", status, a)
	}
	_, first := p.ask(t, admin, "POST", path+"/rotate", "")
	_, second := p.ask(t, admin, "POST", path+"/rotate", `{"grace":"0s"}`)
	for secret, good := range map[string]bool{made.Secret: false, first.Secret: false, second.Secret: true} {
		if _, err := p.known(t, secret); (err == nil) != good {
			t.Errorf("a secret is good: %v, not %v", err == nil, good)
		}
	}
	_, third := p.ask(t, admin, "POST", path+"/rotate", `{"grace":"1h"}`)
	for _, secret := range []string{second.Secret, third.Secret} {
		if _, err := p.known(t, secret); err != nil {
			t.Error("a secret is lost in the time that was given")
		}
	}
	if until := third.Key.OldSecretValidUntil; until == nil || time.Until(*until) > time.Hour || time.Until(*until) < 59*time.Minute {
		t.Errorf("the old secret is good until %v", until)
	}
	if p.changes != 5 {
		t.Errorf("the gateways were told of %d changes, not 5", p.changes)
	}
	for range 2 { // once more changes nothing
		if status, a := p.ask(t, admin, "DELETE", path, ""); status != 200 || a.Key.RevokedAt == nil {
			t.Errorf("revoke: %d %+v", status, a)
		}
	}
	if _, err := p.known(t, third.Secret); err == nil {
		t.Error("a revoked key is known")
	}
	for _, request := range [][3]string{{"PATCH", path, `{"name":"x"}`}, {"POST", path + "/rotate", ""}} {
		if status, a := p.ask(t, admin, request[0], request[1], request[2]); status != 409 || a.Error != "the key is revoked" {
			t.Errorf("%v: %d %s", request, status, a.Error)
		}
	}
}

func TestWhoMakesAKeyGivesNoMoreThanItHas(t *testing.T) {
	p := open(t)
	good := `"name":"a","scopes":["inference"],"requests_per_minute":100,"tokens_per_month":10,"expires_at":"2099-01-01T00:00:00Z"`
	made := p.make(t, manager, "{"+good+"}")
	if made.Key.Tenant != "acme" {
		t.Errorf("tenant %q", made.Key.Tenant)
	}
	for change, want := range map[string]string{
		`"tenant":"other"`:                     `tenant: "other" is not yours ("acme")`,
		`"scopes":["inference","models:read"]`: `scopes: inference, models:read are more than yours (inference, keys, usage:read)`,
		`"scopes":["admin"]`:                   `scopes: admin are more than yours (inference, keys, usage:read)`,
		`"requests_per_minute":101`:            `requests_per_minute: must be given, and not more than yours (100)`,
		`"requests_per_minute":null`:           `requests_per_minute: must be given, and not more than yours (100)`,
		`"tokens_per_month":1001`:              `tokens_per_month: must be given, and not more than yours (1000)`,
		`"priority":"high"`:                    `priority: high is more than yours (normal)`,
		`"expires_at":null`:                    `expires_at: must be given, and not later than yours (2100-01-01T00:00:00Z)`,
	} {
		if status, a := p.ask(t, manager, "POST", "/api/v1/keys", "{"+good+","+change+"}"); status != 403 || a.Error != want {
			t.Errorf("make %s: %d %s", change, status, a.Error)
		}
		if status, a := p.ask(t, manager, "PATCH", fmt.Sprint("/api/v1/keys/", made.Key.ID), "{"+change+"}"); status != 403 || a.Error != want {
			t.Errorf("change %s: %d %s", change, status, a.Error)
		}
	}
	// Nor does it get hold of the secret of a key that has more.
	more := p.make(t, admin, `{"name":"b","tenant":"acme","scopes":["admin"]}`)
	path := fmt.Sprint("/api/v1/keys/", more.Key.ID)
	for _, request := range [][3]string{{"POST", path + "/rotate", ""}, {"PATCH", path, "{" + good + "}"}} {
		if status, _ := p.ask(t, manager, request[0], request[1], request[2]); status != 403 {
			t.Errorf("%v of a key that may do more: %d", request, status)
		}
	}
	if p.changes != 2 {
		t.Errorf("%d changes, not the 2 keys made", p.changes)
	}
}

func TestATenantSeesItsOwnKeysAlone(t *testing.T) {
	p := open(t)
	own := p.make(t, admin, `{"name":"own","tenant":"acme"}`)
	others := p.make(t, admin, `{"name":"others","tenant":"other"}`)
	p.make(t, admin, `{"name":"platform"}`)
	names := func(by auth.Key, query string) string {
		status, a := p.ask(t, by, "GET", "/api/v1/keys"+query, "")
		text := fmt.Sprint(status)
		for _, key := range a.Keys {
			text += " " + key.Name
		}
		return text + a.Error
	}
	for query, want := range map[string]string{"": "200 own", "?tenant=acme": "200 own", "?tenant=other": `400tenant: "other" is not yours ("acme")`} {
		if got := names(manager, query); got != want {
			t.Errorf("%q: %s", query, got)
		}
	}
	for query, want := range map[string]string{"": "200 own others platform", "?tenant=other": "200 others", "?tenant=": "200 platform"} {
		if got := names(admin, query); got != want {
			t.Errorf("admin, %q: %s", query, got)
		}
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		if status, _ := p.ask(t, manager, method, fmt.Sprint("/api/v1/keys/", others.Key.ID), ""); status != 404 {
			t.Errorf("%s of another tenant's: %d", method, status)
		}
	}
	if status, _ := p.ask(t, manager, "DELETE", fmt.Sprint("/api/v1/keys/", own.Key.ID), ""); status != 200 {
		t.Errorf("revoking its own: %d", status)
	}
	if got := names(manager, "?revoked=true"); got != "200 own" {
		t.Errorf("with those revoked: %s", got)
	}
}

func TestWhatIsWrongWithARequestIsSaidAtOnce(t *testing.T) {
	p := open(t)
	for _, test := range []struct{ method, target, body, want string }{
		{"POST", "/api/v1/keys", ``, `name: "" is not between 1 and 100 printable characters`},
		{"POST", "/api/v1/keys", `{"name":"a","tenant":"A B","scopes":["root"],"tokens_per_minute":0,"priority":"top","expires_at":"2020-01-01T00:00:00Z"}`,
			`tenant: "A B" is not a name: use small letters, digits, dots and dashes, 63 at most; ` +
				`scopes: "root" is no scope: there are inference, models:read, models:write, nodes, keys, usage:read, admin; ` +
				`tokens_per_minute: 0 is less than 1; leave it out for no limit; priority: "top" is not low, normal or high; ` +
				`expires_at: 2020-01-01T00:00:00Z is not in the future`},
		{"POST", "/api/v1/keys", `{"name":"a","id":7}`, `the request body: json: unknown field "id"`},
		{"POST", "/api/v1/keys", `{"name":"a"} {}`, `the request body goes on after its first value`},
		{"GET", "/api/v1/keys?limit=0&after=x&revoked=maybe&size=red", "",
			`limit: "0" is not a number between 1 and 1000; after: "x" is not a number between 0 and 9007199254740992; ` +
				`revoked: "maybe" is not true or false; size: no such parameter: there are limit, after, tenant, revoked`},
		{"GET", "/api/v1/usage?from=today&group_by=day,size", "",
			`from: "today" is not a day such as 2026-01-31; group_by: "size" is not one of day, gateway, key, model, tenant`},
		{"GET", "/api/v1/usage?from=2026-02-01&to=2026-01-01", "", `to: 2026-01-01 is before from: 2026-02-01`},
	} {
		if status, a := p.ask(t, admin, test.method, test.target, test.body); status != 400 || a.Error != test.want {
			t.Errorf("%s %s %s: %d\n got %s\nwant %s", test.method, test.target, test.body, status, a.Error, test.want)
		}
	}
	made := p.make(t, admin, `{"name":"a"}`)
	if status, a := p.ask(t, admin, "POST", fmt.Sprintf("/api/v1/keys/%d/rotate", made.Key.ID), `{"grace":"1y"}`); status != 400 || a.Error != `grace: "1y" is not a duration between 0s and 720h0m0s` {
		t.Errorf("%d %s", status, a.Error)
	}
	for _, id := range []string{"0", "99999", "none"} {
		if status, a := p.ask(t, admin, "GET", "/api/v1/keys/"+id, ""); status != 404 || a.Error != "no such key" {
			t.Errorf("key %s: %d %s", id, status, a.Error)
		}
	}
}

// use writes what some keys used: 2 models over 3 days through 2 gateways, 10 requests a row.
func (p *platform) use(t *testing.T, ids ...int64) time.Time {
	t.Helper()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	if err := p.store.PrepareUsage(t.Context(), today.AddDate(0, 0, -3), today, 90); err != nil {
		t.Fatal(err)
	}
	for _, gateway := range []string{"gateway-1", "gateway-2"} {
		rows := map[usage.Of]usage.Counts{}
		for _, id := range ids {
			for ago := range 3 {
				for _, model := range []string{"big", "tiny"} {
					day := int32(today.AddDate(0, 0, -ago).Unix() / (24 * 60 * 60))
					rows[usage.Of{Day: day, Key: id, Model: model}] = usage.Counts{Requests: 10, Failures: 1, PromptTokens: 100, CompletionTokens: 1000}
				}
			}
		}
		if err := p.store.AddUsage(t.Context(), gateway, usage.Batch{ID: fmt.Sprint(time.Now()), Rows: rows}); err != nil {
			t.Fatal(err)
		}
	}
	return today
}

func TestUsageIsSummedUpAsAskedWithinATenant(t *testing.T) {
	p := open(t)
	one := p.make(t, admin, `{"name":"one","tenant":"acme"}`).Key
	two := p.make(t, admin, `{"name":"two","tenant":"other"}`).Key
	today := p.use(t, one.ID, two.ID)
	since := "?from=" + today.AddDate(0, 0, -2).Format(time.DateOnly)
	sums := func(by auth.Key, query string) string {
		status, a := p.ask(t, by, "GET", "/api/v1/usage"+query, "")
		text := fmt.Sprint(status)
		for _, r := range a.Usage {
			text += fmt.Sprintf(" %s=%d", r.Key+r.Tenant+r.Model+r.Gateway, r.Requests)
			if r.Failures*10 != r.Requests || r.PromptTokens != r.Requests*10 || r.CompletionTokens != r.Requests*100 {
				t.Errorf("%s: %+v does not add up", query, r)
			}
		}
		return text + a.Error
	}
	for query, want := range map[string]string{
		since + "&group_by=key":                                  "200 one=120 two=120",
		since + "&group_by=tenant,model":                         "200 acmebig=60 acmetiny=60 otherbig=60 othertiny=60",
		since + "&group_by=model,tenant":                         "200 acmebig=60 otherbig=60 acmetiny=60 othertiny=60",
		since + "&group_by=gateway&model=tiny":                   "200 gateway-1=60 gateway-2=60",
		since + "&tenant=other&group_by=key":                     "200 two=120",
		since + "&group_by=model&key=" + fmt.Sprint(one.ID):      "200 big=60 tiny=60",
		"?from=" + today.Format(time.DateOnly) + "&group_by=key": "200 one=40 two=40",
		"?from=2020-01-01&to=2020-02-01":                         "200",
	} {
		if got := sums(admin, query); got != want {
			t.Errorf("%s: %s, not %s", query, got, want)
		}
	}
	if got := sums(manager, since+"&group_by=key"); got != "200 one=120" {
		t.Errorf("a tenant sees %s", got)
	}
	if got := sums(manager, since+"&tenant=other"); got != `400tenant: "other" is not yours ("acme")` {
		t.Errorf("a tenant asking for another's gets %s", got)
	}
	_, a := p.ask(t, admin, "GET", "/api/v1/usage"+since, "")
	if len(a.Usage) != 3 || a.Usage[2].Day != today.Format(time.DateOnly) || a.Usage[0].Requests != 80 {
		t.Errorf("by day: %+v", a.Usage)
	}
}

func TestLongAnswersComeInPages(t *testing.T) {
	p := open(t)
	var ids []int64
	for i := range 7 {
		ids = append(ids, p.make(t, admin, fmt.Sprintf(`{"name":"key-%d"}`, i)).Key.ID)
	}
	p.use(t, ids...)
	for path, read := range map[string]func(answer) []string{
		"/api/v1/keys?limit=3": func(a answer) (names []string) {
			for _, key := range a.Keys {
				names = append(names, key.Name)
			}
			return names
		},
		"/api/v1/usage?group_by=key&limit=3&from=2020-01-01": func(a answer) (names []string) {
			for _, row := range a.Usage {
				names = append(names, row.Key)
			}
			return names
		},
	} {
		var names, sizes []string
		after := ""
		for {
			_, a := p.ask(t, admin, "GET", path+after, "")
			names, sizes = append(names, read(a)...), append(sizes, fmt.Sprint(len(read(a))))
			if a.Next == nil {
				break
			}
			after = "&after=" + *a.Next
		}
		if got := strings.Join(sizes, " ") + ": " + strings.Join(names, " "); got != "3 3 1: key-0 key-1 key-2 key-3 key-4 key-5 key-6" {
			t.Errorf("%s: %s", path, got)
		}
	}
}
