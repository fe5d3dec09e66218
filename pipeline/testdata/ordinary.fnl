;; A pipeline as people write them: lint, test, build, release, mirror.
(local ci (require :quire.ci))
(local {: runtime} ci)
(import-macros {: defrun} :quire.ci)

(ci.image "golang:1.26")
(ci.cache :go ["/root/.cache/go-build" "/go/pkg/mod"])

(fn on-main? []
  (let [push (runtime.jobs :quire/push)]
    (= push.branch :main)))

(fn touched? [pattern]
  (let [push (runtime.jobs :quire/push)]
    (accumulate [found false _ path (ipairs push.files-changed) &until found]
      (not= nil (path:find pattern)))))

(ci.job :lint [:quire/push]
  (defrun [sh run]
    (run ["gofmt" "-l" "."])
    (sh "go vet ./... && staticcheck ./...")))

(each [_ race (ipairs ["" "-race"])]
  (ci.job (.. "test" race)
    {:inputs [:quire/push]
     :timeout "20m"
     :retries (if (= race "") 0 1)
     :env {:CGO_ENABLED (if (= race "") "0" "1")}
     :run (fn [{: run}]
            (run (.. "go test " race " ./...")))}))

(ci.job :docs [:quire/push]
  (fn [{: sh}]
    (when (touched? "^docs/")
      (sh "make docs"))))

(ci.job :release [:test :test-race :lint]
  (fn [{: sh : jobs : write-file : artifact}]
    (match (jobs :quire/push)
      {:tag tag} (let [{: exit} (sh ["make" "dist" (.. "VERSION=" tag)])]
                   (write-file "dist/VERSION" tag)
                   (artifact "dist/VERSION")
                   {: exit : tag})
      _ nil)))

(ci.mirror "https://github.com/me/repo.git"
  {:secret :github_token
   :tag (fn [{: sha}] (.. "v" (os.date "!%Y-%m-%d") "-" (sha:sub 1 8)))
   :refs ["refs/heads/main"]
   :after [:test]})
