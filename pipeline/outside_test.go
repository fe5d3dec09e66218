package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"quire/internal/checked"
	"quire/internal/event"
)

func made[T any](t testing.TB, make func(string) (T, error), s string) T {
	t.Helper()
	v, err := make(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func cachePath(t testing.TB, s string) checked.CachePath { return made(t, checked.NewCachePath, s) }
func image(t testing.TB, s string) checked.Image         { return made(t, checked.NewImage, s) }
func host(t testing.TB, s string) checked.Host           { return made(t, checked.NewHost, s) }

// What a pipeline registers and quire hands on is refused with its place, if it
// would be something else to whoever it is handed to.
func TestRegisteredTextThatReachesOutside(t *testing.T) {
	for _, test := range []struct{ form, want string }{
		{`(ci.cache :x ["/c\000--bind\000/\000/host"])`, ".quire/ci.fnl:2:14: ci.cache: the path '/c?--bind?/?/host' cannot be used: it holds a zero byte."},
		{`(ci.cache :x ["a\n!b"])`, "it holds the control character U+000A"},
		{`(ci.cache :x [:ok "/"])`, ".quire/ci.fnl:2:18: ci.cache: the path '/' cannot be used: / is shared by all programs: name a directory below it."},
		{`(ci.cache :x ["/proc/sys"])`, "nothing can be mounted at or below /proc"},
		{`(ci.cache :x ["/a/../dev/shm"])`, "nothing can be mounted at or below /dev"},
		{`(ci.cache :x ["//etc/ssh"])`, "nothing can be mounted at or below /etc"},
		{`(ci.cache :x ["/run/docker.sock"])`, "nothing can be mounted at or below /run"},
		{`(ci.cache :x ["."])`, "it is the workspace itself"},
		{`(ci.cache :x ["a/.."])`, "it is the workspace itself"},
		{`(ci.cache :x ["a/../.."])`, "it leads out of the workspace"},
		{`(ci.cache :x [".git/hooks"])`, ".git in the workspace is not for caches"},
		{`(ci.cache :x ["./.quire/lib"])`, ".quire in the workspace is not for caches"},
		{`(ci.cache :x ["a" "./a"])`, ".quire/ci.fnl:2:18: ci.cache: the path 'a' and 'a' of cache 'x' lie in one another."},
		{`(ci.cache :x ["/c"]) (ci.cache :y ["/c/d"])`, "ci.cache: the path '/c/d' and '/c' of cache 'x' lie in one another."},
		{`(ci.cache :x [(string.rep "a/" 1000)])`, "and 1024 is the most"},
		{`(ci.cache :x [(string.rep "a/" 100)])`, "it is 100 directories deep, and 64 is the most"},
		{`(ci.cache :x [(string.rep "a" 300)])`, "a part of it has 300 bytes, and 255 is the most"},
		{`(for [i 1 101] (ci.cache (.. "c" i) [(.. "d" i)]))`, "A pipeline may cache 100 paths at most."},
		{`(ci.image "-v/:/host")`, "ci.image: the name '-v/:/host' cannot be used: it starts with none of"},
		{`(ci.image "a\nb")`, "ci.image: the name 'a?b' cannot be used: it holds the control character U+000A."},
		{`(ci.image (string.rep "a" 1000000))`, "it has 1000000 bytes, and 512 is the most."},
		{`(ci.job :x {:inputs [:quire/push] :image "a b" :run (fn [])})`, "Job 'x': :image cannot be used: it holds a character that no image's name has."},
		{`(for [i 1 21] (ci.job (.. "j" i) {:inputs [:quire/push] :image (.. "a:" i) :run (fn [])}))`, "The jobs of a pipeline may name 20 images at most."},
		{`(ci.service :db {:image "a\0b"})`, "ci.service: :image cannot be used: it holds a zero byte."},
		{`(ci.service "-db" {:image :a})`, "ci.service: the name '-db' cannot be used: it is no host name"},
		{`(ci.service "a b" {:image :a})`, "it is no host name"},
		{`(ci.service :localhost {:image :a})`, "every container has that name for itself"},
		{`(ci.service :db {:image :a :ready ["true\0x"]})`, "ci.service: :ready cannot be used: it holds a zero byte"},
		{`(ci.service :db {:image :a :env {"A\nB" "x"}})`, "for a variable's name"},
		{`(for [i 1 21] (ci.service (.. "s" i) {:image :a}))`, "A pipeline may have 20 services at most."},
		{`(ci.job :x {:inputs [:quire/push] :env {:A (string.rep "a" 131072)} :run (fn [])})`, "the value of A cannot be used: it has 131072 bytes, and 131069 is the most"},
		{`(ci.job :x {:inputs [:quire/push] :env (let [e {}] (for [i 1 1001] (tset e (.. "A" i) "x")) e) :run (fn [])})`, ":env has more than 1000 variables"},
		{`(ci.mirror "https://h/r\n[core]" {:secret :t :tag (fn [])})`, "ci.mirror: the url cannot be used: it holds the control character U+000A"},
		{`(ci.mirror "https://h/r" {:secret "a\0b" :tag (fn [])})`, "ci.mirror: :secret cannot be used: it holds a zero byte"},
		{`(ci.mirror "https://h/r" {:secret :t :refs ["main\nx"] :tag (fn [])})`, "ci.mirror: :refs has 'main?x', which cannot be used"},
		{`(ci.job :a ["` + strings.Repeat("x", 200) + `"] (fn []))`, "has the input '" + strings.Repeat("x", 60) + "…', which is neither"},
	} {
		_, err := Load(context.Background(), source(prelude+test.form+"\n(ci.job :job [:quire/push] (fn []))"), Limits{})
		var ds Diagnostics
		if !errors.As(err, &ds) {
			t.Errorf("%s: got %v", test.form, err)
			continue
		}
		if !strings.Contains(ds.Error(), test.want) {
			t.Errorf("%s:\n%v\nwant %s", test.form, err, test.want)
		}
		if len(ds.Error()) > 1<<16 || strings.ContainsAny(ds.Error(), "\x00\x1b\u202e") {
			t.Errorf("%s: the error is not fit to be shown: %.200q", test.form, ds.Error())
		}
	}
}

// What is everybody's use of caches, images and services stays possible.
func TestRegisteredTextThatIsFine(t *testing.T) {
	p := load(t, prelude+`
(ci.image "registry.example.com:5000/team/app_1:v1.2@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
(ci.cache :go ["/root/.cache/go-build" "/go/pkg/mod" "/usr/local/cargo/registry" "/var/cache/apt" "/tmp/x" "node_modules" "target/*x" "a b" "/home/ö/.m2" "./deep/er/"])
(ci.service :my_db-1.test {:image "postgres:16" :env {:PGPORT 5432} :ready [:pg_isready "-h" "a\nb"]})
(ci.job :x [:quire/push] (fn []))`)
	var got []string
	for _, path := range p.Caches[0].Paths {
		got = append(got, path.String())
	}
	want := "/root/.cache/go-build /go/pkg/mod /usr/local/cargo/registry /var/cache/apt /tmp/x node_modules target/*x a b /home/ö/.m2 deep/er"
	if strings.Join(got, " ") != want {
		t.Errorf("paths %q", got)
	}
}

// The same holds for what a primitive is given.
func TestPrimitivesTextThatReachesOutside(t *testing.T) {
	for _, test := range []struct{ call, want string }{
		{`(runtime.sh (string.rep "x" 131072))`, "sh: cmd cannot be run: it has 131072 bytes, and 131071 is the most: pass such data by :stdin or a file"},
		{`(runtime.sh ["true" (string.rep "x" 131072)])`, "sh: element 2 of cmd cannot be an argument: it has 131072 bytes"},
		{`(runtime.sh (let [c ["true"]] (for [i 1 20] (table.insert c (string.rep "x" 100000))) c))`, "sh: the arguments and environment have"},
		{`(runtime.sh "true" {:cwd "a\0b"})`, "sh: :cwd cannot be used: it holds a zero byte"},
		{`(runtime.sh "true" {:cwd (string.rep "x" 5000)})`, "sh: :cwd cannot be used: it has 5000 bytes, and 4095 is the most"},
		{`(runtime.sh "true" {:env {"A\nB" :x}})`, "for a variable's name"},
		{`(runtime.sh "true" {:env {:LONG (string.rep "x" 131072)}})`, "sh: :env: the value of LONG cannot be used: it has 131072 bytes"},
		{`(runtime.read-file "a\0b")`, "read-file: the path cannot be used: it holds a zero byte"},
		{`(runtime.write-file "a\0b" "")`, "write-file: the path cannot be used: it holds a zero byte"},
		{`(runtime.artifact (string.rep "x" 5000))`, "artifact: the path cannot be used: it has 5000 bytes"},
		{`(runtime.secret "a\nb")`, "secret: the name cannot be used: it holds the control character U+000A"},
		{`(runtime.env "A=B")`, "env: the name cannot be used: it holds '='"},
		{`(runtime.mirror {:url "https://h/r\r\nx" :secret :s})`, "mirror: :url cannot be used: it holds the control character U+000D"},
		{`(runtime.mirror {:url "https://h/r" :auth-header "Authorization: x\r\nHost: y"})`, "mirror: :auth-header cannot be used: it holds the control character U+000D"},
		{`(runtime.mirror {:url "https://h/r" :secret :s :sha "--all"})`, "mirror: :sha cannot be used: it is no object id"},
		{`(runtime.mirror {:url "https://h/r" :secret :s :tag "a\nb"})`, "mirror: :tag cannot be used: it holds the control character U+000A"},
		{`(runtime.mirror {:url "https://h/r" :secret :s :as "../x"})`, "mirror: :as cannot be used: it holds '/'"},
		{`(runtime.mirror {:url "https://h/r" :secret :s :refs ["a\0b"]})`, "mirror: :refs has 'a?b', which cannot be used: it holds a zero byte"},
		{`(runtime.mirror {:url "https://h/r" :secret :s :git-dir "a\0b"})`, "mirror: :git-dir cannot be used: it holds a zero byte"},
	} {
		w := newWorkshop(t)
		out := load(t, prelude+"(ci.job :x [:quire/push] (fn [] "+test.call+"))").Run(context.Background(), w, Options{})
		if x := out.Jobs[0]; x.State != event.JobFailed || !strings.Contains(x.Reason.String(), test.want) {
			t.Errorf("%s: %s %s\nwant %s", test.call, x.State, x.Reason, test.want)
		}
		if len(w.calls)+len(w.mirrors)+len(w.artifacts) > 0 {
			t.Errorf("%s: it was handed on", test.call)
		}
	}
	w := newWorkshop(t)
	out := load(t, prelude+fmt.Sprintf(`(ci.job :x [:quire/push] (fn [] (runtime.run ["test" "-n" (string.rep "x" %d)])))`, checked.MaxArgument)).Run(context.Background(), w, Options{})
	if x := out.Jobs[0]; x.State != event.JobSucceeded {
		t.Errorf("the longest argument: %s %s", x.State, x.Reason)
	}
}
