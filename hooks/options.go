package hooks

import (
	"fmt"
	"strconv"
)

// pushOptions reads what `git push -o` said, as git hands it to hooks
// (GIT_PUSH_OPTION_COUNT and GIT_PUSH_OPTION_0 …, githooks(5)). The repository
// must allow them (receive.advertisePushOptions), which `quire install` sees to.
func pushOptions(lookup func(string) (string, bool)) ([]string, error) {
	count, ok := lookup("GIT_PUSH_OPTION_COUNT")
	if !ok || count == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("GIT_PUSH_OPTION_COUNT is %s, which is no number of push options; they are not heeded", excerpt(count))
	}
	var options []string
	for i := range n {
		o, ok := lookup("GIT_PUSH_OPTION_" + strconv.Itoa(i))
		if !ok {
			return options, fmt.Errorf("of %d push options only %d arrived", n, i)
		}
		options = append(options, o)
	}
	return options, nil
}
