package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/reply"
)

const (
	// GatewayHeader names the gateway that handled a request.
	GatewayHeader = "X-Ollamamax-Gateway"
	// RequestIDHeader carries the identity that the edge gave a request, or else this gateway.
	RequestIDHeader = "X-Request-Id"
	// headRoom is how many times the limit net/http reads of a request's head before it hangs up: within
	// it the refusal is this server's own, in the shape of the API that was asked.
	headRoom = 8
	// farewell is the end of the drain, in which requests that took too long are told that they did.
	farewell = time.Second
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Server is the API's listener.
type Server struct {
	settings config.Server
	name     string
	metrics  *metrics.Metrics
	log      *slog.Logger
	http     *http.Server
	leave    func(x *exchange.Exchange, status int)
	draining atomic.Bool
	abandon  context.CancelCauseFunc // ends every request under way
}

// New wraps api, which serves requests that have passed the limits. leave is told how each of them ended.
func New(
	name string, settings config.Server, m *metrics.Metrics, log *slog.Logger, leave func(x *exchange.Exchange, status int), api http.Handler,
) *Server {
	requests, abandon := context.WithCancelCause(context.Background())
	s := &Server{settings: settings, name: name, metrics: m, log: log, leave: leave, abandon: abandon}
	s.http = &http.Server{
		Handler:                      s.around(api),
		ReadHeaderTimeout:            settings.ReadHeaderTimeout,
		IdleTimeout:                  settings.IdleTimeout,
		MaxHeaderBytes:               headRoom * settings.MaxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state == http.StateActive {
				// The deadline of the answer before would otherwise cut one that net/http writes by itself.
				_ = conn.SetWriteDeadline(time.Now().Add(settings.WriteTimeout))
			}
		},
	}
	return s
}

// Draining tells whether the server is about to stop.
func (s *Server) Draining() bool { return s.draining.Load() }

// Serve accepts on listener until ctx ends, then drains: for DrainDelay it still accepts, so that
// whoever balances over gateways can see that it is not ready and let go of its connections one answer
// at a time; then it finishes what is under way, all within DrainTimeout. What takes longer is told so,
// in its own format, shortly before the end.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info("draining", "delay", s.settings.DrainDelay.String(), "timeout", s.settings.DrainTimeout.String())
	end, cancelEnd := context.WithTimeout(context.WithoutCancel(ctx), s.settings.DrainTimeout)
	defer cancelEnd()
	deadline, cancel := context.WithTimeout(end, s.settings.DrainTimeout-min(farewell, s.settings.DrainTimeout/10))
	defer cancel()
	timer := time.NewTimer(s.settings.DrainDelay)
	defer timer.Stop()
	<-timer.C
	if err := s.http.Shutdown(deadline); err != nil {
		s.log.Warn("requests cut off: they took longer than server.drainTimeout", "error", err)
		s.abandon(proxy.ErrStopping)
		if s.http.Shutdown(end) == nil {
			return nil
		}
		if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// aborted tells the panic that ends an answer on purpose from any other.
func aborted(problem any) bool {
	err, ok := problem.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// around is what every request goes through.
func (s *Server) around(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange.Exchange{Start: time.Now(), RequestID: requestID(r), API: "none"}
		r = r.WithContext(exchange.With(r.Context(), x))
		control := http.NewResponseController(w)
		out := &rollingWriter{ResponseWriter: w, control: control, timeout: s.settings.WriteTimeout}
		if r.Body != http.NoBody {
			body := &rollingBody{ReadCloser: r.Body, control: control, timeout: s.settings.ReadTimeout, left: s.settings.ReadTimeout, x: x}
			defer body.finish()
			r.Body = body
			out.body = body
		}
		out.Header().Set(GatewayHeader, s.name)
		out.Header().Set(RequestIDHeader, x.RequestID)
		if s.draining.Load() {
			out.Header().Set("Connection", "close")
		}
		defer func() {
			problem := recover()
			s.record(r, x, out, problem)
			if problem != nil {
				panic(http.ErrAbortHandler)
			}
			out.extend() // net/http writes what is buffered after this returns
		}()
		if size := headBytes(r); size > s.settings.MaxHeaderBytes {
			x.API = "refused"
			reply.Error(out, r, http.StatusRequestHeaderFieldsTooLarge,
				fmt.Sprintf("request header too large: the limit is %d bytes", s.settings.MaxHeaderBytes))
			return
		}
		if why := refusedPath(r); why != "" {
			x.API = "refused"
			reply.Error(out, r, http.StatusBadRequest, why)
			return
		}
		api.ServeHTTP(out, r)
	})
}

func requestID(r *http.Request) string {
	if id := r.Header.Get(RequestIDHeader); requestIDPattern.MatchString(id) {
		return id
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

func (s *Server) record(r *http.Request, x *exchange.Exchange, out *rollingWriter, problem any) {
	status := out.status
	if status == 0 {
		status = http.StatusOK
	}
	switch {
	case r.Context().Err() != nil && !errors.Is(context.Cause(r.Context()), proxy.ErrStopping) && (problem != nil || out.status == 0):
		status = proxy.StatusClientGone
	case problem != nil && !aborted(problem):
		status = http.StatusInternalServerError
		s.log.Error("handler panicked", "request", x.RequestID, "path", r.URL.Path, "panic", fmt.Sprint(problem))
	case x.Failed:
		status = http.StatusBadGateway
	}
	overhead := x.Overhead()
	s.metrics.Request(x.API, x.Model, status, overhead)
	if x.FirstByte > 0 {
		s.metrics.FirstToken(x.API, x.Model, x.FirstByte)
	}
	s.metrics.Tokens(x.Model, x.PromptTokens, x.CompletionTokens)
	s.leave(x, status)

	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelWarn
	}
	attributes := []slog.Attr{
		slog.String("request", x.RequestID), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("api", x.API), slog.Int("status", status), slog.String("remote", r.RemoteAddr),
		slog.Float64("seconds", time.Since(x.Start).Seconds()), slog.Float64("overhead", overhead.Seconds()),
	}
	key := ""
	if x.Key != nil {
		key = x.Key.Name
	}
	for _, optional := range []slog.Attr{slog.String("model", x.Model), slog.String("node", x.Node), slog.String("key", key)} {
		if optional.Value.String() != "" {
			attributes = append(attributes, optional)
		}
	}
	if x.FirstByte > 0 {
		attributes = append(attributes, slog.Float64("first_byte", x.FirstByte.Seconds()))
	}
	if x.Retries > 0 {
		attributes = append(attributes, slog.Int("retries", x.Retries))
	}
	if x.PromptTokens+x.CompletionTokens > 0 {
		attributes = append(attributes, slog.Int64("prompt_tokens", x.PromptTokens), slog.Int64("completion_tokens", x.CompletionTokens))
	}
	if x.Cause != nil {
		attributes = append(attributes, slog.String("error", x.Cause.Error()))
	}
	s.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attributes...)
}
