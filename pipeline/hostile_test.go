package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
)

// A pipeline from a stranger does not get out, and does not take the process
// down.
func TestSandbox(t *testing.T) {
	for _, name := range []string{"io", "debug", "dofile", "loadfile", "os.execute", "os.getenv", "os.exit", "os.remove", "package.loadlib", "package.path", "package.cpath"} {
		p := load(t, prelude+`(ci.job :x [:quire/push] (fn []
  (var v _G)
  (each [part (string.gmatch "`+name+`" "[^.]+")]
    (set v (. v part)))
  (assert (= v nil) "it is there")
  nil))`)
		out := p.Run(context.Background(), newWorkshop(t), Options{})
		wantState(t, out.Jobs[0], event.JobSkipped, "")
	}
}

func TestHostilePipelines(t *testing.T) {
	// Some of them would go on for as long as they may.
	limits := Limits{Stretch: 3 * time.Second, Grace: time.Minute}
	for name, text := range map[string]string{
		"quire.ci replaced":        `(tset package.loaded :quire.ci {}) (require :quire.ci)`,
		"runtime replaced":         `(tset (require :quire.ci) :runtime {})`,
		"globals gone":             `(each [k (pairs _G)] (tset _G k nil))`,
		"string metatable":         `(tset (getmetatable "") :__index (fn [] (error :x)))`,
		"huge string":              `(string.rep "x" 4e9)`,
		"doubled string":           `(do (var s "x") (for [i 1 40] (set s (string.rep s 2))))`,
		"format":                   `(string.format "%99999999d" 1)`,
		"unpack":                   `((or table.unpack _G.unpack) {} 1 1e8)`,
		"concat":                   `(table.concat (setmetatable {} {:__len (fn [] 1e9)}))`,
		"sort":                     `(table.sort [3 1 2] (fn [] true))`,
		"error with cyclic table":  `(let [t {}] (set t.t t) (error t))`,
		"error with __tostring":    `(error (setmetatable {} {:__tostring (fn [] (error :again))}))`,
		"error with __fennelview":  `(error (setmetatable {} {:__fennelview (fn [] (error :again))}))`,
		"error as long as a novel": `(error (string.rep "x" 1e6))`,
		"deep recursion in gsub":   `(fn f [s] (string.gsub s "." f)) (f "aaaa")`,
		"deep metamethods":         `(let [t {}] (setmetatable t {:__index (fn [a k] (. a k))}) t.x)`,
		"coroutine in itself":      `(var co nil) (set co (coroutine.create (fn [] (coroutine.resume co)))) (coroutine.resume co)`,
		"coroutines without end":   `(fn spawn [] ((coroutine.wrap spawn))) (spawn)`,
		"yield at the top":         `(coroutine.yield 1)`,
		"kept coroutine":           `(global co (coroutine.wrap (fn [] (coroutine.yield 1)))) (co)`,
		"error through pcall":      `(pcall error (setmetatable {} {:__index (fn [] (error :x))})) (error nil)`,
		"tostring of everything":   `(each [k v (pairs _G)] (tostring v))`,
	} {
		t.Run(name, func(t *testing.T) {
			// At the top level, and in a run-fn: neither may be more than an error.
			_, err := Load(context.Background(), source(text), limits)
			var ds Diagnostics
			if err != nil && !errors.As(err, &ds) {
				t.Errorf("load: %v", err)
			}
			p, err := Load(context.Background(), source(prelude+"(ci.job :x [:quire/push] (fn []\n"+text+"\nnil))\n(ci.job :y [:quire/push] (fn [] {}))"), limits)
			if err != nil {
				t.Fatal(err)
			}
			out := p.Run(context.Background(), newWorkshop(t), Options{})
			if out.Err != nil {
				t.Error(out.Err)
			}
			x := out.Jobs[0]
			if x.State != event.JobFailed && x.State != event.JobSkipped {
				t.Errorf("%s %q", x.State, x.Reason)
			}
			if len(x.Reason.String()) > maxReason+100 || strings.Contains(x.Reason.String(), "goroutine") || strings.Contains(x.Reason.String(), "traceback") || strings.Contains(x.Reason.String(), "[G]") {
				t.Errorf("reason %q", x.Reason)
			}
			wantState(t, out.Jobs[1], event.JobSucceeded, "")
		})
	}
}

// Sources that are not text, or not sane, are diagnostics.
func TestHostileSources(t *testing.T) {
	for name, text := range map[string]string{
		"brackets":     strings.Repeat("(", 1<<20),
		"closing":      strings.Repeat(")", 1<<20),
		"deep":         strings.Repeat("(do ", 50_000) + strings.Repeat(")", 50_000),
		"deep quote":   strings.Repeat("`", 1<<16),
		"not UTF-8":    "(local x \"\xff\xfe\")\n(\xff)",
		"zero bytes":   "(local \x00 1)",
		"Lua bytecode": "\x1bLua\x51\x00",
		"long line":    `(local x "` + strings.Repeat("x", 1<<20) + `") (error x)`,
		"escapes":      "(local ci (require :quire.ci)) (ci.job \"\\027[31m\\n\" [] (fn []))",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(context.Background(), source(text), Limits{})
			var ds Diagnostics
			if !errors.As(err, &ds) {
				t.Fatalf("got %v", err)
			}
			if len(err.Error()) > 1<<16 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestModulesThatRequireEachOther(t *testing.T) {
	_, err := Load(context.Background(), source("(require :a)", "a", "(require :b)", "b", "(require :a)"), Limits{})
	var ds Diagnostics
	if !errors.As(err, &ds) || !strings.Contains(err.Error(), "loop") {
		t.Errorf("got %v", err)
	}
}
