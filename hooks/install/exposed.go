package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Exposed says what others than the owner may change of the repository that decides
// which hook git calls; "" if nothing. Git runs the hook as whoever pushes, so they
// run code as every pusher, with or without quire.
func (r Repo) Exposed() string {
	var open []string
	for _, path := range []string{r.GitDir, filepath.Join(r.GitDir, "config"), r.HooksDir} {
		st, err := os.Lstat(path)
		// In a sticky directory others remove and rename only what is theirs.
		if err != nil || st.Mode()&os.ModeSymlink != 0 || st.Mode().Perm()&0o022 == 0 || st.Mode()&os.ModeSticky != 0 && path == r.GitDir {
			continue
		}
		open = append(open, fmt.Sprintf("%s (mode %04o)", path, st.Mode().Perm()))
	}
	if len(open) == 0 {
		return ""
	}
	return "others than the owner may write to " + strings.Join(open, ", ") + ": they can have git call another hook, and so run code as whoever pushes (docs/security.md, R12)"
}
