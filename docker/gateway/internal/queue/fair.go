// Package queue holds requests that wait, fairly: classes share by weight, so that none starves, the keys
// of a class take turns, and the requests of a key keep their order. A queue belongs to its caller's lock.
package queue

// Classes is how many classes there are; a higher one is served more often.
const Classes = 3

// weights is how many of each seven requests a class gets where all have some waiting.
var weights = [Classes]int{1, 2, 4}

// Queue is a set of waiting items. Its zero value is empty.
type Queue[T any] struct {
	classes [Classes]class[T]
	length  int
}

// class is a ring of the keys that wait.
type class[T any] struct {
	lines  map[string]*line[T]
	next   *line[T] // whose turn it is
	credit int      // what the class is owed, in shares
}

// line is what one key has waiting, in order.
type line[T any] struct {
	key           string
	first, last   *Item[T]
	before, after *line[T]
}

// Item is one place in a queue.
type Item[T any] struct {
	Value         T
	class         int
	line          *line[T] // nil once it has left
	before, after *Item[T]
}

// Len is how many wait.
func (q *Queue[T]) Len() int { return q.length }

// Push adds a value to the end of its key's line.
func (q *Queue[T]) Push(value T, key string, class int) *Item[T] {
	item := &Item[T]{Value: value, class: class}
	l := q.line(key, class)
	if item.before = l.last; l.last != nil {
		l.last.after = item
	} else {
		l.first = item
	}
	item.line, l.last = l, item
	q.length++
	return item
}

// PushFront adds a value to the front of its key's line: it has waited before.
func (q *Queue[T]) PushFront(value T, key string, class int) *Item[T] {
	item := &Item[T]{Value: value, class: class}
	l := q.line(key, class)
	if item.after = l.first; l.first != nil {
		l.first.before = item
	} else {
		l.last = item
	}
	item.line, l.first = l, item
	q.length++
	return item
}

// line returns the line of a key. A new one has its turn after all others.
func (q *Queue[T]) line(key string, number int) *line[T] {
	c := &q.classes[number]
	if known := c.lines[key]; known != nil {
		return known
	}
	if c.lines == nil {
		c.lines = map[string]*line[T]{}
	}
	l := &line[T]{key: key}
	c.lines[key] = l
	if c.next == nil {
		l.before, l.after, c.next = l, l, l
		return l
	}
	l.before, l.after = c.next.before, c.next
	l.before.after, l.after.before = l, l
	return l
}

// Remove takes an item out, wherever it stands. One that has left already is let be.
func (q *Queue[T]) Remove(item *Item[T]) {
	l := item.line
	if l == nil {
		return
	}
	if item.before != nil {
		item.before.after = item.after
	} else {
		l.first = item.after
	}
	if item.after != nil {
		item.after.before = item.before
	} else {
		l.last = item.before
	}
	item.line, item.before, item.after = nil, nil, nil
	q.length--
	if l.first != nil {
		return
	}
	c := &q.classes[item.class]
	delete(c.lines, l.key)
	if l.after == l {
		c.next, c.credit = nil, 0 // an empty class saves nothing up
		return
	}
	l.before.after, l.after.before = l.after, l.before
	if c.next == l {
		c.next = l.after
	}
}

// Take removes the first value, in the order of fairness, that fits accepts.
func (q *Queue[T]) Take(fits func(T) bool) (value T, found bool) {
	for _, number := range q.order() {
		c := &q.classes[number]
		if c.next == nil {
			continue
		}
		for l, start := c.next, c.next; ; {
			for item := l.first; item != nil; item = item.after {
				if !fits(item.Value) {
					continue
				}
				q.charge(number)
				c.next = l.after
				q.Remove(item)
				return item.Value, true
			}
			if l = l.after; l == start {
				break
			}
		}
	}
	return value, false
}

// order lists the classes, the one that is owed most first.
func (q *Queue[T]) order() [Classes]int {
	order := [Classes]int{2, 1, 0}
	owed := func(class int) int { return q.classes[class].credit + weights[class] }
	for i := 1; i < Classes; i++ {
		for j := i; j > 0 && owed(order[j]) > owed(order[j-1]); j-- {
			order[j], order[j-1] = order[j-1], order[j]
		}
	}
	return order
}

// charge gives every class that waits its share, and takes the whole from the one that is served (smooth
// weighted round robin).
func (q *Queue[T]) charge(served int) {
	for number := range q.classes {
		if c := &q.classes[number]; c.next != nil {
			c.credit += weights[number]
			q.classes[served].credit -= weights[number]
		}
	}
}
