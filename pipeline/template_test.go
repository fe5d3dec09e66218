package pipeline

import (
	"context"
	"reflect"
	"sync"
	"testing"

	"quire/internal/event"
)

// A job's state is the same whether it was copied from the one that Load used
// or the pipeline was evaluated in it.
func TestCopiedAndEvaluatedStatesAreAlike(t *testing.T) {
	for _, test := range []struct {
		name, text string
		lib        []string
		copied     bool // else the template turns out to be useless
	}{
		{"variables that functions share", `
(var n 10)
(fn bump [] (set n (+ n 1)) n)
(ci.job :x [:quire/push] (fn [{: log}] (log (bump)) (log (bump)) (log n)))`, nil, true},
		{"functions that call one another", `
(var even? nil)
(fn odd? [n] (if (= n 0) false (even? (- n 1))))
(set even? (fn [n] (if (= n 0) true (odd? (- n 1)))))
(ci.job :x [:quire/push] (fn [{: log}] (log (even? 10)) (log (odd? 7))))`, nil, true},
		{"defined after the job", `
(local lib {})
(ci.job :x [:quire/push] (fn [{: log}] (log (lib.later 2))))
(fn lib.later [x] (* x 21))`, nil, true},
		{"loop variables", `
(each [i name (ipairs [:a :b :c])]
  (ci.job name [(or (. [nil :a :b] i) :quire/push)] (fn [{: log}] (log [i name]))))`, nil, true},
		{"tables in circles and in two places", `
(local shared [1 2])
(local t {:a shared :b shared})
(set t.self t)
(tset t t :key)
(ci.job :x [:quire/push] (fn [{: log}]
  (table.insert t.a 3)
  (log [(length t.b) (rawequal t t.self) (. t t) (rawequal shared t.a)])))`, nil, true},
		{"order of keys", `
(local t {})
(each [_ k (ipairs [:z :a 1.5 :m true])] (tset t k k))
(set t.a nil)
(ci.job :x [:quire/push] (fn [{: log}] (each [k v (pairs t)] (log [k v]))))`, nil, true},
		{"metatables", `
(local class {:__index {:hello (fn [self] (.. "hello " self.name))} :__call (fn [self x] (+ x self.n))})
(local object (setmetatable {:name "it" :n 2} class))
(ci.job :x [:quire/push] (fn [{: log}] (log (object:hello)) (log (object 40)) (log (rawequal class (getmetatable object)))))`, nil, true},
		{"the library changed", `
(fn string.shout [s] (.. (s:upper) "!"))
(set math.pi 3)
(set table.concat nil)
(tset _G :mine 5)
(ci.job :x [:quire/push] (fn [{: log}] (log [(: "x" :shout) math.pi (= nil table.concat) (. _G :mine)])))`, nil, true},
		{"quire.ci changed", `
(fn ci.twice [id f] (ci.job id [:quire/push] f) (ci.job (.. id 2) [:quire/push] f))
(ci.twice :x (fn [{: log}] (log (type ci.twice)) (log (pcall ci.twice :y print))))`, nil, true},
		{"modules", `
(local tools (require :tools))
(ci.job :x [:quire/push] (fn [{: log}]
  (log (tools.count)) (log ((. (require :tools) :count))) (log (rawequal tools (require :tools))) (log ((. (require :more) :f)))))`,
			[]string{"tools", "(var n 0) {:count (fn [] (set n (+ n 1)) n)}", "more", "{:f (fn [] :more)}"}, true},
		{"environments", `
(fn f [] (. (getfenv 1) :x))
(setfenv f {:x 7 :getfenv getfenv})
(ci.job :x [:quire/push] (fn [{: log}] (log (f))))`, nil, true},
		{"a library function as run-fn", `(ci.job :x [:quire/push] type)`, nil, true},
		{"captured runtime", `
(local rt ci.runtime)
(local keep {:it ci.runtime})
(ci.job :x [:quire/push] (fn [arg] (rt.log (rawequal arg keep.it)) (keep.it.log "y")))`, nil, true},
		{"many arguments and results", `
(fn pass [...] (select "#" ...) (values ...))
(ci.job :x [:quire/push] (fn [...] (runtime.log [(pass 1 nil 3)]) (runtime.log (select "#" ...))))`, nil, true},
		{"mirror", `
(var n 0)
(fn tag [push] (set n (+ n 1)) (.. push.branch n))
(ci.mirror "/srv/a" {:tag tag})
(ci.mirror "/srv/b" {:tag tag :as :b})`, nil, true},
		{"coroutine", `
(local next (coroutine.wrap (fn [] (for [i 1 9] (coroutine.yield i)))))
(next)
(ci.job :x [:quire/push] (fn [{: log}] (log (next)) (log (next))))
(ci.job :y [:quire/push] (fn [{: log}] (log (next))))`, nil, false},
		{"iterator", `
(local words (string.gmatch "a b c" "%a"))
(words)
(ci.job :x [:quire/push] (fn [{: log}] (log (words))))`, nil, false},
		{"userdata", `
(local proxy (newproxy true))
(ci.job :x [:quire/push] (fn [{: log}] (log (type proxy))))`, nil, false},
		{"deep list", `
(var list nil)
(for [i 1 5000] (set list {:next list :i i}))
(ci.job :x [:quire/push] (fn [{: log}] (log list.next.i)))`, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			type result struct {
				states  string
				reasons []string
				log     []string
				mirrors []Mirror
			}
			run := func(p *Pipeline) result {
				w := newWorkshop(t)
				out := p.Run(context.Background(), w, Options{Push: testPush, MaxJobs: 1})
				r := result{states: states(out), log: w.log(), mirrors: w.mirrors}
				for _, j := range out.Jobs {
					r.reasons = append(r.reasons, j.Reason.String())
				}
				return r
			}
			p := load(t, prelude+test.text, test.lib...)
			copied := run(p)
			again := run(p) // the first run left the template as it was
			if useless := p.template.useless.Load(); useless == test.copied {
				t.Errorf("the template is useless: %v", useless)
			}
			p.template = nil
			evaluated := run(p)
			if !reflect.DeepEqual(copied, evaluated) {
				t.Errorf("copied    %+v\nevaluated %+v", copied, evaluated)
			}
			if !reflect.DeepEqual(copied, again) {
				t.Errorf("at first %+v\nthen     %+v", copied, again)
			}
			if len(copied.log)+len(copied.mirrors) == 0 && test.name != "a library function as run-fn" {
				t.Error("nothing was observed")
			}
		})
	}
}

// Whether a template can be used shows when it is first tried; until then, and
// after, every job gets a right state.
func TestUselessTemplateUnderLoad(t *testing.T) {
	p := load(t, prelude+`
(local next (coroutine.wrap (fn [] (for [i 1 9] (coroutine.yield i)))))
(for [i 1 40] (ci.job (.. "j" i) [:quire/push] (fn [] {:exit (- (next) 1)})))`)
	if out := p.Run(context.Background(), newWorkshop(t), Options{MaxJobs: 8}); out.State != event.RunSucceeded {
		t.Error(out.Reason)
	}
	if !p.template.useless.Load() {
		t.Error("a coroutine was copied")
	}
}

// Jobs change their copies of one template at the same time.
func TestTemplateIsOnlyRead(t *testing.T) {
	p := load(t, prelude+`
(local data {:list []})
(for [i 1 100] (tset data (.. "k" i) {:i i}))
(fn string.mine [s] s)
(for [i 1 30]
  (ci.job (.. "j" i) [:quire/push] (fn []
    (for [k 1 100] (set (. data (.. "k" k) :i) i) (table.insert data.list k))
    (set string.mine nil)
    (each [k v (pairs data)] (when (= (type v) :table) (set v.seen true)))
    {:exit (- (length data.list) 100)})))`)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if out := p.Run(context.Background(), newWorkshop(t), Options{MaxJobs: 8}); out.State != event.RunSucceeded {
				t.Error(out.Reason)
			}
		})
	}
	wg.Wait()
	if p.template.useless.Load() {
		t.Error("the template turned out to be useless")
	}
}
