package jobfile

import "time"

// ModTime is when the thing was last modified.
func (n *Node) ModTime() time.Time { return time.Unix(n.st.Mtim.Unix()) }
