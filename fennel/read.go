package fennel

// Read reads every form of a text, without expanding or compiling any: for programs that point at, or edit, Fennel
// source. The error is an [*Error].
func Read(source []byte, filename string) ([]Node, error) { return parseAll(source, filename) }
