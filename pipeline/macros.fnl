;; What (import-macros {: defrun} :quire.ci) gives.

(fn defrun [names ...]
  "A run-fn with the named primitives bound: (defrun [sh jobs] body…)."
  (assert-compile (sequence? names)
                  "expected a sequence of primitives, such as [sh jobs]" names)
  (let [bindings {}]
    (each [_ name (ipairs names)]
      ;; Anything but a symbol may have no place of its own to point at.
      (assert-compile (sym? name)
                      "expected a sequence of primitives, such as [sh jobs]" names)
      (tset bindings (tostring name) name))
    (if (= 0 (length names))
        `(fn [] ,...)
        `(fn []
           (let [,bindings (. (require :quire.ci) :runtime)]
             ,...)))))

{: defrun}
