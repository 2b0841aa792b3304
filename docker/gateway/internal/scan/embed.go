package scan

import "slices"

// Texts is a request for embeddings, cut around what is to be embedded.
type Texts struct {
	Before, After []byte // the rest of the body
	Items         []byte // the texts, as elements of an array
	Count         int
}

// CutTexts cuts a body of /api/embed. It returns false where the texts cannot be told from the rest, and where
// the worker would not take each of them for one text.
func CutTexts(body []byte) (Texts, bool) {
	s := scanner{b: body}
	start := space(body, 0)
	if at(body, start) != '{' {
		return Texts{}, false
	}
	var texts Texts
	found := 0
	o := object{walk: walk{at: start + 1}}
	for s.next(&o) {
		from := o.at
		o.at = s.skip(from, 1)
		if o.at < 0 || fieldName(o.key, o.plain) != "input" {
			continue
		}
		found++
		texts = Texts{Before: body[:from], After: body[o.at:]}
		switch body[from] {
		case '"':
			if o.at-from > len(`""`) { // an empty text alone is no text to the worker
				texts.Items, texts.Count = body[from:o.at], 1
			}
		case '[':
			texts.Items, texts.Count = s.strings(from)
		}
	}
	end := o.end()
	return texts, end >= 0 && space(body, end) == len(body) && found == 1 && texts.Count > 0
}

// strings returns the elements of an array and their number, which is 0 where one is no string.
func (s *scanner) strings(from int) (items []byte, count int) {
	a := array{walk{at: from + 1}}
	first, last := 0, 0
	for s.element(&a) {
		if at(s.b, a.at) != '"' {
			return nil, 0
		}
		if count == 0 {
			first = a.at
		}
		count++
		a.at = s.skip(a.at, 2)
		last = a.at
	}
	return s.b[first:last], count
}

// Vectors is a worker's answer to /api/embed, taken apart.
type Vectors struct {
	Before, After []byte   // what goes around some of the vectors to make an answer
	Each          [][]byte // in the order of the texts
}

// CutVectors takes an answer apart. The count of tokens is left out: it is of all texts together.
func CutVectors(answer []byte) (Vectors, bool) {
	s := scanner{b: answer}
	start := space(answer, 0)
	if at(answer, start) != '{' {
		return Vectors{}, false
	}
	v := Vectors{Before: []byte{'{'}, After: []byte{']'}}
	found := 0
	o := object{walk: walk{at: start + 1}}
	for s.next(&o) {
		from := o.at
		o.at = s.skip(from, 1)
		switch {
		case o.at < 0 || string(o.key) == "prompt_eval_count":
		case string(o.key) == "embeddings":
			found++
			a := array{walk{at: from + 1}}
			for at(answer, from) == '[' && s.element(&a) {
				start := a.at
				a.at = s.skip(start, 2)
				v.Each = append(v.Each, answer[start:max(start, a.at)])
			}
		case found == 0:
			v.Before = append(member(v.Before, o.key, answer[from:o.at]), ',')
		default:
			v.After = member(append(v.After, ','), o.key, answer[from:o.at])
		}
	}
	v.Before = append(v.Before, `"embeddings":[`...)
	v.After = append(v.After, '}')
	return v, o.closed && found == 1
}

func member(to, key, value []byte) []byte {
	return slices.Concat(to, []byte{'"'}, key, []byte(`":`), value)
}
