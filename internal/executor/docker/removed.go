package docker

import (
	"fmt"

	"github.com/docker/docker/api/types/container"
)

// removedError is a container of the run that somebody else has removed, or has
// begun to: a person with `docker rm -f`, a clean-up of the engine. Unlike one
// that was killed it cannot be started again, and its files are gone.
type removedError struct {
	name  string
	begun bool   // the command may have done something
	why   string // quire gives it up itself; "" somebody has removed it
}

func (e *removedError) what() string {
	if e.why != "" {
		return e.why
	}
	return "was removed"
}

func (e *removedError) Error() string {
	if e.begun {
		return fmt.Sprintf("container %s has stopped while the command ran: it was removed", e.name)
	}
	return fmt.Sprintf("container %s %s before the command began", e.name, e.what())
}

// beingRemoved: the engine lists a container until its files are deleted, and
// for good, as dead, where it could not delete them.
func beingRemoved(info container.InspectResponse) bool {
	return info.ContainerJSONBase != nil && info.State != nil && (info.State.Dead || info.State.Status == container.StateRemoving)
}

// forget makes the next command of the image get another container. The one that
// was removed is kept for Close, which sees that it is gone.
func (d *Executor) forget(image string, b *box) {
	same := oneName(image)
	d.mu.Lock()
	first := !d.closed && d.boxes[same] == b
	if first {
		delete(d.boxes, same)
		d.removed = append(d.removed, b)
	}
	d.mu.Unlock()
	if first { // of the commands that ran there at the same time
		d.spec.Container(false, b.name)
	}
}
