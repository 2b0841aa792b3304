package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/access"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/front"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/tracing"
)

const (
	// headRoom is how many times the limit net/http reads of a request's head before it hangs up: within
	// it the refusal is this server's own, in the shape of the API that was asked.
	headRoom = 8
	// farewell is the end of the drain, in which requests that took too long are told that they did.
	farewell = time.Second
)

// Server answers the API: what is plain through its front, the rest through net/http.
type Server struct {
	settings config.Server
	name     string
	recorder *access.Recorder
	tracer   *tracing.Tracer
	log      *slog.Logger
	front    *front.Front
	http     *http.Server
	draining atomic.Bool
	closing  func()                  // called when nothing more is accepted
	abandon  context.CancelCauseFunc // ends every request under way on the side of net/http
}

// New wraps api, which serves requests that have passed the limits and are not the front's.
func New(name string, settings config.Server, f *front.Front, recorder *access.Recorder, tracer *tracing.Tracer, log *slog.Logger, api http.Handler) *Server {
	requests, abandon := context.WithCancelCause(context.Background())
	s := &Server{settings: settings, name: name, recorder: recorder, tracer: tracer, log: log, front: f, abandon: abandon, closing: func() {}}
	s.http = &http.Server{
		Handler:                      s.around(api),
		ReadHeaderTimeout:            settings.ReadHeaderTimeout,
		MaxHeaderBytes:               headRoom * settings.MaxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state == http.StateActive {
				// For an answer that net/http writes by itself.
				_ = conn.SetWriteDeadline(time.Now().Add(settings.WriteTimeout))
			}
		},
	}
	return s
}

// OnClosing has f called once no more connections are accepted, so that those that carry no request which would
// end by itself are ended. It must come before Serve, and f must not block.
func (s *Server) OnClosing(f func()) { s.closing = f }

// Draining tells whether the server is about to stop.
func (s *Server) Draining() bool { return s.draining.Load() }

// Serve accepts on listener until ctx ends, then drains: for DrainDelay it still accepts, so that
// whoever balances over gateways can see that it is not ready and let go of its connections one answer
// at a time; then it finishes what is under way, all within DrainTimeout. What takes longer is told so,
// in its own format, shortly before the end.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	go s.front.Watch(watching)
	failed := make(chan error, 2)
	go func() { failed <- s.front.Serve(listener) }()
	go func() { failed <- s.http.Serve(s.front.Others(listener.Addr())) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.front.Drain()
	s.log.Info("draining", "delay", s.settings.DrainDelay.String(), "timeout", s.settings.DrainTimeout.String())
	end, cancelEnd := context.WithTimeout(context.WithoutCancel(ctx), s.settings.DrainTimeout)
	defer cancelEnd()
	deadline, cancel := context.WithTimeout(end, s.settings.DrainTimeout-min(farewell, s.settings.DrainTimeout/10))
	defer cancel()
	timer := time.NewTimer(s.settings.DrainDelay)
	defer timer.Stop()
	<-timer.C
	_ = listener.Close() // whoever comes now is refused
	s.closing()
	if err := s.shutdown(deadline); err != nil {
		s.log.Warn("requests cut off: they took longer than server.drainTimeout", "error", err)
		s.abandon(exchange.ErrStopping)
		s.front.Abandon(exchange.ErrStopping)
		if s.shutdown(end) == nil {
			return nil
		}
		s.front.Close()
		if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// shutdown waits until no request is under way on either side.
func (s *Server) shutdown(ctx context.Context) error {
	// The front first: what it hands over until then is the other's to finish.
	if err := s.front.Shutdown(ctx); err != nil {
		return err
	}
	return s.http.Shutdown(ctx)
}

// aborted tells the panic that ends an answer on purpose from any other.
func aborted(problem any) bool {
	err, ok := problem.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// around is what every request goes through.
func (s *Server) around(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange.Exchange{Start: time.Now(), RequestID: reply.RequestID(r.Header.Get(reply.RequestIDHeader)), API: "none"}
		x.TraceID, x.Trace = s.tracer.Begin(x.Start, r.Method, r.Header.Get(tracing.Parent), r.Header.Get(tracing.State))
		r = r.WithContext(exchange.With(r.Context(), x))
		control := http.NewResponseController(w)
		out := &rollingWriter{ResponseWriter: w, control: control, timeout: s.settings.WriteTimeout}
		if r.Body != http.NoBody {
			body := &rollingBody{ReadCloser: r.Body, control: control, timeout: s.settings.ReadTimeout, left: s.settings.ReadTimeout, x: x}
			defer body.finish()
			r.Body = body
			out.body = body
		}
		out.Header().Set(reply.GatewayHeader, s.name)
		out.Header().Set(reply.RequestIDHeader, x.RequestID)
		out.Header().Set("Connection", "close") // so that the next request has the front's way open to it
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

func (s *Server) record(r *http.Request, x *exchange.Exchange, out *rollingWriter, problem any) {
	status := out.status
	if status == 0 {
		status = http.StatusOK
	}
	switch {
	case x.Left, r.Context().Err() != nil && !errors.Is(context.Cause(r.Context()), exchange.ErrStopping) && (problem != nil || out.status == 0):
		status = access.StatusClientGone
	case problem != nil && !aborted(problem):
		status = http.StatusInternalServerError
		s.log.Error("handler panicked", "request", x.RequestID, "path", r.URL.Path, "panic", fmt.Sprint(problem))
	case x.Failed:
		status = http.StatusBadGateway
	}
	s.recorder.Record(x, access.Entry{Method: r.Method, Path: r.URL.Path, Remote: r.RemoteAddr, Status: status})
}
