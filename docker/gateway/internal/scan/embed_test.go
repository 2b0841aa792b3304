package scan_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"ollamamax/gateway/internal/scan"
)

func TestARequestForEmbeddingsIsCutAroundItsTexts(t *testing.T) {
	for body, want := range map[string]struct {
		before, items, after string
		count                int
	}{
		`{"model":"m","input":"one"}`:                          {`{"model":"m","input":`, `"one"`, `}`, 1},
		`{"input":["one", "t\"wo"],"truncate":false} `:         {`{"input":`, `"one", "t\"wo"`, `,"truncate":false} `, 2},
		`{"Input" : [ "one" ] , "options":{"num_ctx":[1,{}]}}`: {`{"Input" : `, `"one"`, ` , "options":{"num_ctx":[1,{}]}}`, 1},
		`{"input":[""]}`: {`{"input":`, `""`, `}`, 1},
	} {
		texts, ok := scan.CutTexts([]byte(body))
		if !ok || string(texts.Before) != want.before || string(texts.Items) != want.items || string(texts.After) != want.after || texts.Count != want.count {
			t.Errorf("%s: %v %q %q %q %d", body, ok, texts.Before, texts.Items, texts.After, texts.Count)
		}
	}
}

func TestARequestWhoseTextsAreNotPlainIsNotCut(t *testing.T) {
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"model":"m"}`, `{"input":""}`, `{"input":[]}`, `{"input":null}`, `{"input":7}`,
		`{"input":["a",7]}`, `{"input":[["a"]]}`, `{"input":"a","input":"b"}`, `{"input":"a","INPUT":"b"}`,
		`{"input":"a"} more`, `{"input":"a"`, `{"input":["a"}`, `{"input":["a",]}`, `{"input":"a",}`,
	} {
		if texts, ok := scan.CutTexts([]byte(body)); ok {
			t.Errorf("%s is cut: %+v", body, texts)
		}
	}
}

func TestAnAnswerIsTakenApartWithoutTheCountOfAll(t *testing.T) {
	for answer, want := range map[string]struct{ before, after string }{
		`{"model":"m","embeddings":[[0.1,-2e-3], [3]],"total_duration":7,"prompt_eval_count":9}`: {
			`{"model":"m","embeddings":[`, `],"total_duration":7}`,
		},
		`{"prompt_eval_count":9,"embeddings":[[0.1,-2e-3],[3]]}`: {`{"embeddings":[`, `]}`},
	} {
		vectors, ok := scan.CutVectors([]byte(answer))
		if !ok || string(vectors.Before) != want.before || string(vectors.After) != want.after || len(vectors.Each) != 2 ||
			string(vectors.Each[0]) != "[0.1,-2e-3]" || string(vectors.Each[1]) != "[3]" {
			t.Errorf("%s: %v %s %s %s", answer, ok, vectors.Before, vectors.Each, vectors.After)
		}
	}
	for _, answer := range []string{
		``, `[]`, `{}`, `{"error":"x"}`, `{"embeddings":[[1]]`, `{"embeddings":[[1],]}`, `{"embeddings":[],"embeddings":[]}`,
	} {
		if vectors, ok := scan.CutVectors([]byte(answer)); ok {
			t.Errorf("%s is taken apart: %+v", answer, vectors)
		}
	}
}

// FuzzCutTexts puts a cut request together again, with a text more, and compares what the worker would read.
func FuzzCutTexts(f *testing.F) {
	f.Add([]byte(`{"model":"m","input":["one", "two"],"truncate":false}`))
	f.Add([]byte("{\"input\":\"\\ud800\xff\",\"a\":{\"input\":1}} "))
	f.Fuzz(func(t *testing.T, body []byte) {
		texts, ok := scan.CutTexts(body)
		if !ok {
			return
		}
		type request struct {
			Model    string          `json:"model"`
			Input    any             `json:"input"`
			Truncate json.RawMessage `json:"truncate"`
		}
		var before, after request
		if err := json.Unmarshal(body, &before); err != nil {
			if strings.Contains(err.Error(), "cannot unmarshal") {
				return
			}
			t.Fatal(err)
		}
		merged := bytes.Join([][]byte{texts.Before, []byte("["), texts.Items, []byte(`,"more"]`), texts.After}, nil)
		if err := json.Unmarshal(merged, &after); err != nil {
			t.Fatalf("%s: %v", merged, err)
		}
		list, isList := before.Input.([]any)
		if !isList {
			list = []any{before.Input}
		}
		if !reflect.DeepEqual(after.Input, append(list, "more")) || len(list) != texts.Count {
			t.Errorf("%v became %v", before.Input, after.Input)
		}
		if after.Model != before.Model || !bytes.Equal(after.Truncate, before.Truncate) {
			t.Error("the rest changed")
		}
	})
}
