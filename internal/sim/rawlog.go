package sim

import (
	"errors"
	"os"
)

// rawLogQueue bounds the records that may wait for a sync.
const rawLogQueue = 4096

// A RawLog appends records and syncs once for all that wait: the limit of any
// store on the same disk, against which ours is measured.
type RawLog struct {
	file  *os.File
	queue chan rawAppend
	ended chan struct{}
}

type rawAppend struct {
	record []byte
	done   chan error
}

// NewRawLog creates the file at path.
func NewRawLog(path string) (*RawLog, error) {
	file, err := os.Create(path) //nolint:gosec // the caller's own folder
	if err != nil {
		return nil, err
	}
	l := &RawLog{file, make(chan rawAppend, rawLogQueue), make(chan struct{})}
	go l.write()
	return l, nil
}

// Append returns once the record is on disk.
func (l *RawLog) Append(record []byte) error {
	a := rawAppend{record, make(chan error, 1)}
	l.queue <- a
	return <-a.done
}

// Close closes the file. Nobody may append any more.
func (l *RawLog) Close() error {
	close(l.queue)
	<-l.ended
	return l.file.Close()
}

func (l *RawLog) write() {
	defer close(l.ended)
	for first := range l.queue {
		group, buffer := []rawAppend{first}, append([]byte(nil), first.record...)
		for more := true; more; {
			select {
			case a, ok := <-l.queue:
				if more = ok; ok {
					group, buffer = append(group, a), append(buffer, a.record...)
				}
			default:
				more = false
			}
		}
		_, err := l.file.Write(buffer)
		err = errors.Join(err, datasync(l.file))
		for _, a := range group {
			a.done <- err
		}
	}
}
