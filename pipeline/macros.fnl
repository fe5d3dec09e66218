;; What (import-macros {: defrun} :quire.ci) gives.

(fn defrun [names ...]
  "A run-fn with the named primitives bound: (defrun [sh jobs] body…)."
  (assert-compile (sequence? names)
                  "expected a sequence of primitives, such as [sh jobs]" names)
  (let [bindings {}]
    (each [_ name (ipairs names)]
      (assert-compile (sym? name)
                      "expected the name of a primitive" name)
      (tset bindings (tostring name) name))
    (if (= 0 (length names))
        `(fn [] ,...)
        `(fn []
           (let [,bindings (. (require :quire.ci) :runtime)]
             ,...)))))

{: defrun}
