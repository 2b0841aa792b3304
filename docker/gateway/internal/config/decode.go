package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Problems is every fault of a configuration, one line each.
type Problems []string //nolint:errname // named for what it holds: it is read as a list

func (p Problems) Error() string { return strings.Join(p, "\n") }

func (p *Problems) add(path, format string, args ...any) {
	*p = append(*p, path+": "+fmt.Sprintf(format, args...))
}

// Load reads and checks the file at path. The error is a Problems unless the file cannot be read.
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration file: %w", err)
	}
	return Parse(text)
}

// Parse decodes and checks a configuration.
func Parse(text []byte) (Config, error) {
	cfg := Default()
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(&document)
	if err == nil {
		if err = decoder.Decode(&second); err == nil { // the library would pass it over
			return Config{}, Problems{fmt.Sprintf("configuration: a second document begins (line %d): keep one", second.Line)}
		}
	}
	if !errors.Is(err, io.EOF) {
		return Config{}, Problems{"configuration is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	problems := make(Problems, 0, 8)
	if len(document.Content) > 0 {
		decode(document.Content[0], reflect.ValueOf(&cfg).Elem(), "", &problems)
	}
	if cfg.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			problems.add("name", "is missing, and the host has no name to use instead: %s", err)
		}
		cfg.Name = name
	}
	problems = append(problems, validate(cfg, problems)...)
	if len(problems) > 0 {
		return Config{}, problems
	}
	return cfg, nil
}

// decode fills target from node. It walks the document itself, rather than leave it to yaml's strict
// mode, because that names lines and Go types where the reader needs paths and expected values.
func decode(node *yaml.Node, target reflect.Value, path string, problems *Problems) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if target.Kind() == reflect.Slice && target.Type().Elem().Kind() == reflect.Struct {
		decodeList(node, target, path, problems)
		return
	}
	if target.Kind() != reflect.Struct {
		if problem := decodeLeaf(node, target); problem != "" {
			problems.add(path, "%s", problem)
		}
		return
	}
	if node.Tag == "!!null" {
		return
	}
	if node.Kind != yaml.MappingNode {
		problems.add(orRoot(path), "is not a mapping of settings")
		return
	}
	fields := fieldsByName(target.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		child := key
		if path != "" {
			child = path + "." + key
		}
		index, known := fields[key]
		switch {
		case !known:
			problems.add(child, "unknown setting (line %d)", node.Content[i].Line)
		case seen[key]:
			problems.add(child, "set twice (line %d)", node.Content[i].Line)
		default:
			seen[key] = true
			decode(node.Content[i+1], target.Field(index), child, problems)
		}
	}
}

// decodeList fills a list of mappings.
func decodeList(node *yaml.Node, target reflect.Value, path string, problems *Problems) {
	if node.Kind != yaml.SequenceNode {
		problems.add(path, "is not a list")
		return
	}
	list := reflect.MakeSlice(target.Type(), len(node.Content), len(node.Content))
	for i, entry := range node.Content {
		decode(entry, list.Index(i), fmt.Sprintf("%s[%d]", path, i), problems)
	}
	target.Set(list)
}

func orRoot(path string) string {
	if path == "" {
		return "configuration"
	}
	return path
}

func fieldsByName(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		fields[t.Field(i).Tag.Get("yaml")] = i
	}
	return fields
}

func decodeLeaf(node *yaml.Node, target reflect.Value) string {
	if target.Type() == reflect.TypeFor[time.Duration]() {
		value, err := time.ParseDuration(node.Value)
		if node.Kind != yaml.ScalarNode || err != nil {
			return fmt.Sprintf("%q is not a duration such as 5s or 2m", node.Value)
		}
		target.SetInt(int64(value))
		return ""
	}
	expected := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Int: "a whole number", reflect.Int64: "a whole number",
		reflect.Slice: "a list of texts", reflect.Bool: "true or false", reflect.Float64: "a number",
	}[target.Kind()]
	if target.Kind() == reflect.String && (node.Kind != yaml.ScalarNode || node.Tag == "!!null") {
		return "is not " + expected
	}
	if err := node.Decode(target.Addr().Interface()); err != nil {
		if node.Kind == yaml.ScalarNode {
			return fmt.Sprintf("%q is not %s", node.Value, expected)
		}
		return "is not " + expected
	}
	return ""
}
