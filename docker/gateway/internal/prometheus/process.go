package prometheus

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTicks is the unit of times in /proc: it is the same on every architecture that Go runs on.
const clockTicks = 100

// measured is a metric of Go's runtime: the sum of what the runtime counts under other names.
type measured struct {
	desc    *Desc
	kind    ValueType
	sources []string
}

func gauge(name, help string, sources ...string) measured {
	return measured{NewDesc(name, help), GaugeValue, sources}
}

func counter(name, help string, sources ...string) measured {
	return measured{NewDesc(name, help), CounterValue, sources}
}

// The names are client_golang's, which dashboards for Go processes know.
var runtimeMetrics = []measured{
	gauge("go_goroutines", "Goroutines that exist.", "/sched/goroutines:goroutines"),
	gauge("go_sched_gomaxprocs_threads", "GOMAXPROCS: threads that run Go code at once.", "/sched/gomaxprocs:threads"),
	gauge("go_gc_gogc_percent", "GOGC.", "/gc/gogc:percent"),
	gauge("go_gc_gomemlimit_bytes", "GOMEMLIMIT.", "/gc/gomemlimit:bytes"),
	gauge("go_memstats_alloc_bytes", "Heap in use.", "/memory/classes/heap/objects:bytes"),
	counter("go_memstats_alloc_bytes_total", "Heap allocated until now, what was freed included.", "/gc/heap/allocs:bytes"),
	gauge("go_memstats_buck_hash_sys_bytes", "Memory of profiles.", "/memory/classes/profiling/buckets:bytes"),
	counter("go_memstats_frees_total", "Objects freed.", "/gc/heap/frees:objects", "/gc/heap/tiny/allocs:objects"),
	gauge("go_memstats_gc_sys_bytes", "Memory of the garbage collector's notes.", "/memory/classes/metadata/other:bytes"),
	gauge("go_memstats_heap_alloc_bytes", "Heap in use, as go_memstats_alloc_bytes.", "/memory/classes/heap/objects:bytes"),
	gauge("go_memstats_heap_idle_bytes", "Heap that waits to be used.", "/memory/classes/heap/released:bytes", "/memory/classes/heap/free:bytes"),
	gauge("go_memstats_heap_inuse_bytes", "Heap in spans that are in use.", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes"),
	gauge("go_memstats_heap_objects", "Objects that are allocated.", "/gc/heap/objects:objects"),
	gauge("go_memstats_heap_released_bytes", "Heap given back to the system.", "/memory/classes/heap/released:bytes"),
	gauge("go_memstats_heap_sys_bytes", "Heap taken from the system.", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes",
		"/memory/classes/heap/released:bytes", "/memory/classes/heap/free:bytes"),
	counter("go_memstats_mallocs_total", "Objects allocated until now.", "/gc/heap/allocs:objects", "/gc/heap/tiny/allocs:objects"),
	gauge("go_memstats_mcache_inuse_bytes", "Memory of mcache structures in use.", "/memory/classes/metadata/mcache/inuse:bytes"),
	gauge("go_memstats_mcache_sys_bytes", "Memory for mcache structures.", "/memory/classes/metadata/mcache/inuse:bytes", "/memory/classes/metadata/mcache/free:bytes"),
	gauge("go_memstats_mspan_inuse_bytes", "Memory of mspan structures in use.", "/memory/classes/metadata/mspan/inuse:bytes"),
	gauge("go_memstats_mspan_sys_bytes", "Memory for mspan structures.", "/memory/classes/metadata/mspan/inuse:bytes", "/memory/classes/metadata/mspan/free:bytes"),
	gauge("go_memstats_next_gc_bytes", "Heap at which the next garbage collection begins.", "/gc/heap/goal:bytes"),
	gauge("go_memstats_other_sys_bytes", "Other memory taken from the system.", "/memory/classes/other:bytes"),
	gauge("go_memstats_stack_inuse_bytes", "Memory of stacks.", "/memory/classes/heap/stacks:bytes"),
	gauge("go_memstats_stack_sys_bytes", "Memory taken from the system for stacks.", "/memory/classes/heap/stacks:bytes", "/memory/classes/os-stacks:bytes"),
	gauge("go_memstats_sys_bytes", "Memory taken from the system.", "/memory/classes/total:bytes"),
}

var (
	goInfo      = NewDesc("go_info", "Always 1; the label says which Go.", "version")
	goThreads   = NewDesc("go_threads", "Threads of the operating system that were made.")
	gcDurations = NewDesc("go_gc_duration_seconds", "Pauses for garbage collection.")
	gcLast      = NewDesc("go_memstats_last_gc_time_seconds", "End of the last garbage collection, in seconds since 1970.")

	cpuSeconds   = NewDesc("process_cpu_seconds_total", "CPU time used, in user and system mode.")
	resident     = NewDesc("process_resident_memory_bytes", "Resident memory.")
	virtual      = NewDesc("process_virtual_memory_bytes", "Virtual memory.")
	virtualLimit = NewDesc("process_virtual_memory_max_bytes", "Limit of virtual memory.")
	filesOpen    = NewDesc("process_open_fds", "File descriptors that are open.")
	filesLimit   = NewDesc("process_max_fds", "Limit of file descriptors.")
	started      = NewDesc("process_start_time_seconds", "Start of the process, in seconds since 1970.")
	received     = NewDesc("process_network_receive_bytes_total", "Bytes that the process' network received.")
	sent         = NewDesc("process_network_transmit_bytes_total", "Bytes that the process' network sent.")
)

// Go is Go's runtime.
type Go struct{}

// Collect reads the runtime without stopping it.
func (Go) Collect() []Metric {
	var samples []metrics.Sample
	for _, metric := range runtimeMetrics {
		for _, source := range metric.sources {
			samples = append(samples, metrics.Sample{Name: source})
		}
	}
	metrics.Read(samples)
	var all []Metric
	for _, metric := range runtimeMetrics {
		sum := uint64(0)
		for range metric.sources {
			sum += samples[0].Value.Uint64()
			samples = samples[1:]
		}
		all = append(all, NewConstMetric(metric.desc, metric.kind, float64(sum)))
	}
	pauses := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&pauses)
	durations := Metric{gcDurations, summaryValue, nil, nil}
	for i, pause := range pauses.PauseQuantiles {
		durations.samples = append(durations.samples, sample{"", "quantile", format(float64(i) / 4), pause.Seconds()})
	}
	durations.samples = append(durations.samples,
		sample{suffix: "_sum", value: pauses.PauseTotal.Seconds()}, sample{suffix: "_count", value: float64(pauses.NumGC)})
	last := 0.0
	if !pauses.LastGC.IsZero() {
		last = float64(pauses.LastGC.UnixNano()) / 1e9
	}
	threads, _ := runtime.ThreadCreateProfile(nil)
	return append(all, durations,
		NewConstMetric(gcLast, GaugeValue, last),
		NewConstMetric(goThreads, GaugeValue, float64(threads)),
		NewConstMetric(goInfo, GaugeValue, 1, runtime.Version()))
}

// Process is what the kernel knows of this process.
type Process struct{}

// Collect reads /proc; what can't be read there is left out.
func (Process) Collect() []Metric {
	var all []Metric
	add := func(desc *Desc, kind ValueType, value float64) { all = append(all, NewConstMetric(desc, kind, value)) }
	if stat, err := os.ReadFile("/proc/self/stat"); err == nil {
		// The second field is the program's name, which may hold spaces; the third is number 0 here.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		field := func(i int) float64 { return parse(string(fields[i])) }
		add(cpuSeconds, CounterValue, (field(11)+field(12))/clockTicks)
		add(virtual, GaugeValue, field(20))
		add(resident, GaugeValue, field(21)*float64(os.Getpagesize()))
		add(started, GaugeValue, field(19)/clockTicks+booted())
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		add(filesOpen, GaugeValue, float64(len(open)))
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		add(filesLimit, GaugeValue, float64(limit.Cur))
	}
	if syscall.Getrlimit(syscall.RLIMIT_AS, &limit) == nil {
		add(virtualLimit, GaugeValue, float64(limit.Cur))
	}
	if counted := network(); counted != nil {
		add(received, CounterValue, parse(counted["InOctets"]))
		add(sent, CounterValue, parse(counted["OutOctets"]))
	}
	return all
}

func parse(number string) float64 {
	value, _ := strconv.ParseFloat(number, 64) // the kernel writes numbers
	return value
}

// booted is when the machine started, in seconds since 1970.
func booted() float64 {
	stat, _ := os.ReadFile("/proc/stat") // without it the process seems to have started in 1970
	_, rest, _ := strings.Cut(string(stat), "\nbtime ")
	number, _, _ := strings.Cut(rest, "\n")
	return parse(number)
}

// network is the kernel's IP counters: a line of names and a line of values.
func network() map[string]string {
	text, err := os.ReadFile("/proc/self/net/netstat")
	if err != nil {
		return nil
	}
	counted := map[string]string{}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "IpExt:" {
			continue
		}
		for i, name := range names {
			counted[name] = fields[i]
		}
		names = fields
	}
	return counted
}
