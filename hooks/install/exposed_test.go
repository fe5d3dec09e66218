package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhoCanReplaceTheHookIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		repo, config, hooks os.FileMode
		says                string
	}{
		"the owner's alone":      {0o755, 0o644, 0o755, ""},
		"the group's":            {os.ModeSetgid | 0o775, 0o644, 0o755, "r.git (mode 0775):"},
		"the group's and sticky": {os.ModeSticky | 0o775, 0o644, 0o755, ""},
		"its configuration":      {0o755, 0o664, 0o755, "config (mode 0664)"},
		"its hooks":              {0o755, 0o644, os.ModeSticky | 0o757, "hooks (mode 0757)"},
	} {
		dir := filepath.Join(t.TempDir(), "r.git")
		r := Repo{GitDir: dir, HooksDir: filepath.Join(dir, "hooks")}
		for _, err := range []error{os.MkdirAll(r.HooksDir, 0o755), os.WriteFile(filepath.Join(dir, "config"), nil, 0o644),
			os.Chmod(dir, c.repo), os.Chmod(filepath.Join(dir, "config"), c.config), os.Chmod(r.HooksDir, c.hooks)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := r.Exposed(); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}
