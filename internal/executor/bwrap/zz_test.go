package bwrap
import ("testing";"time";"os/exec";"os";"quire/internal/executor/executortest";"quire/internal/executor/procs";"path/filepath";"sort";"syscall";"io";"quire/internal/executor";"context")
func TestZZ(t *testing.T){
 procs.BecomeSubreaper()
 spec:=executortest.NewSpec(t)
 os.MkdirAll(filepath.Join(spec.RunDir,"bwrap","tmp"),0o755)
 x,err:=over(spec,nil); if err!=nil{t.Fatal(err)}
 g,err:=procs.OpenCgroup(executortest.RunID(t)); if err!=nil{t.Fatal(err)}
 spec2:=executortest.NewSpec(t)
 xg,err:=over(spec2,g); if err!=nil{t.Fatal(err)}
 s:=x.(*sandbox)
 o:=s.options(s.layout, spec.Workspace, []string{"PATH=/usr/bin:/bin"})
 base:=[]string{"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--die-with-parent",
			"--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"}
 run:=func(o []string, attr *syscall.SysProcAttr){ c:=exec.Command("bwrap",append(append([]string{},o...),"--","true")...); c.SysProcAttr=attr; c.Stdout=io.MultiWriter(); c.Stderr=io.MultiWriter(); if err:=c.Run(); err!=nil{t.Fatal(err)}}
 V:=[]struct{n string; f func()}{
  {"base",func(){run(base,nil)}},
  {"base setsid",func(){run(base,&syscall.SysProcAttr{Setsid:true})}},
  {"ours",func(){run(o,nil)}},
  {"ours fd",func(){ f,_:=optionsFile(o); r,w,_:=os.Pipe(); c:=exec.Command("bwrap","--args","3","--json-status-fd","4","--","true"); c.ExtraFiles=[]*os.File{f,w}; c.Stdout=io.MultiWriter(); c.Stderr=io.MultiWriter(); if err:=c.Run(); err!=nil{t.Fatal(err)}; w.Close(); io.ReadAll(r); r.Close(); f.Close() }},
  {"exec plain",func(){ x.Exec(context.Background(),executor.Command{Argv:[]string{"true"},Env:[]string{"PATH=/usr/bin:/bin"}},nil,nil)}},
  {"exec cgroup",func(){ xg.Exec(context.Background(),executor.Command{Argv:[]string{"true"},Env:[]string{"PATH=/usr/bin:/bin"}},nil,nil)}},
 }
 T:=make([][]float64,len(V))
 for i:=0;i<100;i++{ for j,v:=range V { b:=time.Now(); v.f(); T[j]=append(T[j],float64(time.Since(b).Microseconds())/1000)}}
 for j,v:=range V { sort.Float64s(T[j]); t.Logf("%-14s med %.2f min %.2f p25 %.2f", v.n, T[j][50],T[j][0],T[j][25]) }
}
