package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// head is what of a message's head tells where the message ends.
type head struct {
	first   []byte // request or status line
	length  int    // -1: none is given
	chunked bool
	close   bool
}

// readHead reads a message's head. The returned line is good until the next read.
func readHead(in *bufio.Reader, line []byte) (head, error) {
	h := head{length: -1}
	first, err := in.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	h.first = append(line[:0], bytes.TrimRight(first, "\r\n")...)
	for {
		field, err := in.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		field = bytes.TrimRight(field, "\r\n")
		if len(field) == 0 {
			return h, nil
		}
		name, value, _ := bytes.Cut(field, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil {
				return h, fmt.Errorf("Content-Length: %w", err)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("connection")):
			h.close = bytes.EqualFold(value, []byte("close"))
		}
	}
}

// readChunk adds the content of a chunk to a buffer and returns its size; 0 is the last.
func readChunk(in *bufio.Reader, to *bytes.Buffer) (int, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("size of a chunk: %w", err)
	}
	if size > 0 {
		if _, err := io.CopyN(to, in, size); err != nil {
			return 0, err
		}
	}
	_, err = in.Discard(len("\r\n"))
	return int(size), err
}
