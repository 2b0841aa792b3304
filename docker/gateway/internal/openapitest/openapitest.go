// Package openapitest holds answers to what the OpenAPI document says of them.
package openapitest

import (
	"bytes"
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ollamamax/gateway/internal/openapi"
)

// Operation is a method of a path.
type Operation struct {
	Method string // in capitals
	Path   string // with its parameters in braces
	Scopes []string
	Public bool // needs no key

	pattern *regexp.Regexp
	pointer string
	object  map[string]any
}

const location = "file:///openapi.json"

var parameter = regexp.MustCompile(`\\\{[a-z]+\\\}`)

type document struct {
	root       map[string]any
	operations []Operation
	compiler   *jsonschema.Compiler
	mu         sync.Mutex // of the compiler
}

var read = sync.OnceValue(func() *document {
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.Document()))
	if err != nil {
		panic(err)
	}
	d := &document{root: root.(map[string]any), compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(location, root); err != nil {
		panic(err)
	}
	for path, item := range d.root["paths"].(map[string]any) {
		pattern := parameter.ReplaceAllString(regexp.QuoteMeta(path), ".+")
		for method, entry := range item.(map[string]any) {
			object, ok := entry.(map[string]any)
			if !ok {
				continue // the parameters of all methods
			}
			o := Operation{
				Method: strings.ToUpper(method), Path: path, pattern: regexp.MustCompile("^" + pattern + "$"),
				pointer: "#/paths/" + escape(path) + "/" + method + "/responses/", object: object,
			}
			security := object["security"].([]any)
			o.Public = len(security) == 0
			for _, way := range security {
				for _, scopes := range way.(map[string]any) {
					for _, scope := range scopes.([]any) {
						if !slices.Contains(o.Scopes, scope.(string)) {
							o.Scopes = append(o.Scopes, scope.(string))
						}
					}
				}
			}
			d.operations = append(d.operations, o)
		}
	}
	// What is said in full comes before what a parameter could be as well.
	slices.SortFunc(d.operations, func(a, b Operation) int {
		return cmp.Or(strings.Count(a.Path, "{")-strings.Count(b.Path, "{"), len(b.Path)-len(a.Path), strings.Compare(a.Method, b.Method))
	})
	return d
})

func escape(path string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(path))
}

// Operations lists all operations of the document.
func Operations() []Operation { return read().operations }

// Check fails the test where an answer is not as the document says. What the document has not may be anything.
func Check(t testing.TB, method, target string, status int, body []byte) {
	t.Helper()
	path, _, _ := strings.Cut(target, "?")
	for _, o := range Operations() {
		if o.Method == method && o.pattern.MatchString(path) {
			o.check(t, method+" "+path, status, body)
			return
		}
	}
}

func (o Operation) check(t testing.TB, what string, status int, body []byte) {
	t.Helper()
	d := read()
	name := strconv.Itoa(status)
	responses := o.object["responses"].(map[string]any)
	if responses[name] == nil {
		if status < 400 {
			t.Errorf("%s answers %d, which the document does not have", what, status)
			return
		}
		name = "default"
	}
	response, pointer := responses[name].(map[string]any), o.pointer+name
	if ref, elsewhere := response["$ref"].(string); elsewhere {
		pointer = ref
		response = d.root["components"].(map[string]any)["responses"].(map[string]any)[ref[strings.LastIndex(ref, "/")+1:]].(map[string]any)
	}
	content, _ := response["content"].(map[string]any)
	if len(content) != 1 || content["application/json"] == nil || o.Method == "HEAD" {
		return // no body, or one that may be a stream
	}
	if err := d.validate(pointer+"/content/application~1json/schema", body); err != nil {
		t.Errorf("%s answers %d %.500s\n%v", what, status, body, err)
	}
}

// CheckSchema fails the test where a text is not as one of the document's schemas says.
func CheckSchema(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := read().validate("#/components/schemas/"+name, text); err != nil {
		t.Errorf("not a %s: %.500s\n%v", name, text, err)
	}
}

func (d *document) validate(pointer string, text []byte) error {
	d.mu.Lock()
	schema, err := d.compiler.Compile(location + pointer)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
