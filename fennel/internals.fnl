;; What the reference keeps in fennel.utils and fennel.friend. Neither is part of its API, but plugins, linters and the
;; reference's own sources reach for them, so they are here for (require :fennel.utils) and (require :fennel.friend).

(local (fennel stable-pairs raise) ...)
(local unpack (or table.unpack _G.unpack))
(local utils {})

;; Syntax: the same functions as in the module.
(each [_ name (ipairs [:list :list? :sym :sym? :multi-sym? :sequence :sequence? :table? :comment :comment? :varg :varg?
                       :ast-source :version :runtime-version :path :macro-path])]
  (tset utils name (. fennel name)))
(set utils.fennel-module fennel)
(set utils.stablepairs stable-pairs)
(set utils.unpack unpack)
(set utils.len string.len)

(fn utils.pack [...] (let [t [...]] (tset t :n (select :# ...)) t))

(fn utils.maxn [t]
  (var n 0)
  (each [k (pairs t)]
    (if (and (= (type k) :number) (> k n)) (set n k)))
  n)

;; Tables.
(fn utils.copy [?from ?to]
  (let [out (or ?to {})]
    (each [k v (pairs (or ?from []))] (tset out k v))
    out))

(fn utils.member? [x list]
  (var found false)
  (each [_ v (ipairs list) &until found] (set found (= v x)))
  (if found true nil))

(fn utils.every? [list ok?]
  (var all true)
  (each [_ v (ipairs list) &until (not all)] (set all (ok? v)))
  all)

(fn utils.get-in [t path]
  (var (at steps) (values t 0))
  (each [i key (ipairs path) &until (= nil at)]
    (set steps i)
    (set at (if (= (type at) :table) (. at key))))
  (if (< 0 steps) at))

(fn utils.allpairs [t]
  "All keys of a table and of the tables that it inherits from."
  (assert (= (type t) :table) "allpairs expects a table")
  (let [all {} order []]
    (fn walk [from]
      (each [k v (pairs from)]
        (when (= nil (. all k))
          (tset all k v)
          (table.insert order k)))
      (case (getmetatable from)
        (where {: __index} (= (type __index) :table)) (walk __index)))
    (walk t)
    (var i 0)
    (fn []
      (set i (+ i 1))
      (let [k (. order i)] (values k (. all k))))))

(fn utils.walk-tree [root visit ?iterator]
  (fn walk [parent index node]
    (when (and (visit index node parent) (not (utils.sym? node)))
      (each [k v ((or ?iterator pairs) node)] (walk node k v))))
  (walk nil nil root)
  root)

;; Kinds of syntax.
(local expression {1 :EXPR :__tostring #(tostring (. $ 1))})
(fn utils.expr [code kind] (setmetatable {1 code :type kind} expression))
(fn utils.expr? [x] (and (= (type x) :table) (= (getmetatable x) expression) x))
(fn utils.string? [x] (and (= (type x) :string) x))
(fn utils.quoted? [symbol] symbol.quoted)
(fn utils.call-of? [x name] (and (utils.list? x) (utils.sym? (. x 1) name)))

(fn utils.callable? [x]
  (let [mt (getmetatable x)]
    (if (or (= (type x) :function) (and (= (type mt) :table) mt.__call)) x)))

(fn utils.kv-table? [t]
  (when (utils.table? t)
    (var keyed false)
    (each [k (pairs t) &until keyed]
      (set keyed (not (and (= (type k) :number) (<= 1 k (length t))))))
    (and keyed t)))

(fn utils.idempotent-expr? [x]
  (case (type x)
    (where (or :string :number :boolean)) true
    _ (and (utils.sym? x) (not (utils.multi-sym? x)))))

(local keywords (collect [word (string.gmatch "and break do else elseif end false for function goto if in local nil not or
repeat return then true until while" "%a+")] word true))

;; The compilation that is going on, for those who look.
(local root {:reset #nil :options {}})
(fn root.set-reset [{: chunk : scope : options : reset}]
  (set root.reset #(set (root.chunk root.scope root.options root.reset) (values chunk scope options reset))))
(set utils.root root)

(fn utils.lua-keyword? [word] (or (. keywords word) (?. root.options :keywords word)))
(fn utils.valid-lua-identifier? [name] (and (name:match "^[%a_][%w_]*$") (not (utils.lua-keyword? name))))

(fn utils.propagate-options [options to]
  (each [_ name (ipairs [:allowedGlobals :indent :correlate :useMetadata :env :compiler-env :compilerEnv])]
    (tset to name (. options name)))
  to)

(fn utils.debug-on? [?flag]
  (let [flags (?. _G.os :getenv)
        flags (and flags (flags :FENNEL_DEBUG))]
    (if ?flag (and flags (flags:find ?flag)) (not= nil flags))))

(fn utils.warn [msg ?ast ?filename ?line ?col]
  (case (?. root.options :warn)
    warn (warn msg ?ast ?filename ?line ?col)
    _ (let [{: filename : line : col} (utils.ast-source ?ast)
            (filename line col) (values (or filename ?filename) (or line ?line) (or col ?col))
            at (if (and filename line col) (.. filename ":" line ":" col ": ") "")]
        (when (?. _G.io :stderr)
          (_G.io.stderr:write "--WARNING: " at msg "\n")))))

(fn utils.hook-opts [event ?options ...]
  (var answer nil)
  (each [_ plugin (ipairs (or (?. ?options :plugins) (?. root.options :plugins) [])) &until (not= nil answer)]
    (case (. plugin event)
      handle (set answer (handle ...))))
  answer)

(fn utils.hook [event ...] (utils.hook-opts event root.options ...))

(local friend {})

(fn friend.assert-compile [condition msg ast ?source ?opts]
  (when (not condition)
    (let [{: filename : line : col : endcol : endline} (utils.ast-source ast)]
      (raise :Compile msg filename line col (if (= line endline) endcol) ?source ?opts)))
  condition)

(fn friend.parse-error [msg filename line col ?endcol ?source ?opts]
  (raise :Parse msg filename line col ?endcol ?source ?opts))

{: utils : friend}
