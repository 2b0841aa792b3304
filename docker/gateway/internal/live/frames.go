package live

// frame is what was put together last from the ring: those who keep up all send the same.
type frame struct {
	topics   set
	from, to uint64
	end      uint64 // of the ring at the time
	text     []byte
	counts   [maxTopics]uint64 // messages of each topic that it passes
}

// The messages that are about no thing.
type (
	opening struct {
		Type    string   `json:"type"` // snapshot
		Gateway string   `json:"gateway"`
		Topics  []string `json:"topics"`
		Count   int      `json:"count"` // of the messages about things that follow
	}
	loss struct {
		Type  string `json:"type"` // dropped
		Count uint64 `json:"count"`
	}
	complaint struct {
		Type  string `json:"type"` // error
		Error string `json:"error"`
	}
)

// nextFor returns the client's next frame, or what is closed when there may be one.
func (h *Hub) nextFor(c *client) ([]byte, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.topics != nil {
		if !c.behind && c.cursor < h.first {
			h.lost(c)
		}
		if c.behind {
			h.begin(c)
		}
	}
	if len(c.notices)+len(c.snapshot) > 0 {
		return h.announce(c), nil
	}
	for h.topics != nil && c.cursor < h.next {
		if text := h.follow(c); text != nil {
			return text, nil
		}
	}
	return nil, h.news
}

// lost notes what the client will never be sent, for which it gets what there is anew. The caller holds mu.
func (h *Hub) lost(c *client) {
	var count uint64
	for i := range h.topics {
		if c.topics.has(i) {
			count += h.topics[i].told - c.passed[i]
		}
	}
	if c.behind = count > 0; c.behind {
		h.metrics.Dropped.Add(float64(count))
		c.notices = append(c.notices, encode(loss{"dropped", count}))
		return
	}
	h.catchUp(c) // all that it missed is of other topics
}

// catchUp puts the client behind all that was told. The caller holds mu.
func (h *Hub) catchUp(c *client) {
	c.cursor = h.next
	for i := range h.topics {
		c.passed[i] = h.topics[i].told
	}
}

// begin has the client sent what there is, and then what comes. The caller holds mu.
func (h *Hub) begin(c *client) {
	h.catchUp(c)
	c.behind, c.snapshot = false, h.present(c.topics)
	c.notices = append(c.notices, encode(opening{"snapshot", h.gateway, h.names(c.topics), len(c.snapshot)}))
}

// announce returns a frame of what is for this client alone.
func (h *Hub) announce(c *client) []byte {
	frame := []byte{'['}
	for count := 0; count < h.settings.Batch && len(c.notices)+len(c.snapshot) > 0; count++ {
		if count > 0 {
			frame = append(frame, ',')
		}
		if len(c.notices) > 0 {
			frame, c.notices = append(frame, c.notices[0]...), c.notices[1:]
		} else {
			frame, c.snapshot = append(frame, c.snapshot[0].text...), c.snapshot[1:]
		}
	}
	return append(frame, ']')
}

// follow returns a frame of what is new to the client, or nil where of all that is nothing is of its topics.
// The caller holds mu.
func (h *Hub) follow(c *client) []byte {
	f := &h.frame
	if f.topics != c.topics || f.from != c.cursor || f.end != h.next {
		*f = frame{topics: c.topics, from: c.cursor, to: c.cursor, end: h.next}
		for count := 0; f.to < h.next && count < h.settings.Batch; f.to++ {
			m := h.ring[f.to%uint64(h.settings.Buffer)]
			f.counts[m.topic]++
			if c.topics.has(m.topic) {
				f.text = append(append(f.text, ','), m.text...)
				count++
			}
		}
		if f.text != nil {
			f.text[0] = '['
			f.text = append(f.text, ']')
		}
	}
	c.cursor = f.to
	for i, count := range f.counts {
		c.passed[i] += count
	}
	return f.text
}
