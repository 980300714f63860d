//! Programs that run another on another machine, or in a container.

use crate::line::wrap::row::{How, Wrapper, row};
use crate::line::wrap::search;

const AUTOSSH: &str = "-M -B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -P -Q -R -S -W -w";
const DOCKER: &str = "-H -c -l --host --context --config --log-level --tlscacert --tlscert --tlskey --url \
    --connection --identity --root --namespace -n --cgroup-manager";
const COMPOSE: &str = "-f -p -H -c --file --project-name --project-directory --profile --env-file --ansi --parallel \
    --progress --host --context --log-level";
const EXEC: &str = "-e -u -w --env --user --workdir --detach-keys --env-file --preserve-fds --index";
const RUN: &str = "-a -c -e -h -l -m -p -u -v -w --add-host --annotation --attach --blkio-weight --cap-add \
    --cap-drop --cgroup-parent --cgroupns --cidfile --cpu-period --cpu-quota --cpu-shares --cpus --cpuset-cpus \
    --cpuset-mems --device --dns --dns-option --dns-search --domainname --env --env-file --expose --gpus \
    --group-add --health-cmd --health-interval --health-retries --health-timeout --hostname --ip --ip6 --ipc \
    --isolation --label --label-file --link --log-driver --log-opt --mac-address --memory --memory-reservation \
    --memory-swap --mount --name --net --net-alias --network --network-alias --oom-score-adj --pid --pids-limit \
    --platform --pod --publish --pull --restart --runtime --secret --security-opt --shm-size --stop-signal \
    --stop-timeout --storage-opt --sysctl --systemd --tmpfs --ulimit --umask --user --userns --uts --volume \
    --volume-driver --volumes-from --workdir --arch --os --authfile --creds --uidmap --gidmap --subuidname -t-";
const KUBE: &str = "-n -s --namespace --context --cluster --user --kubeconfig --server --token --as --as-group \
    --certificate-authority --client-certificate --client-key --request-timeout -v --v --tls-server-name";
const KUBE_EXEC: &str = "-c -n -f --container --namespace --context --filename --pod-running-timeout --kubeconfig --cluster --user";

pub(super) const TABLE: &[Wrapper] = &[
    row("ssh, rsh, remsh, slogin, dbclient, plink, hpnssh, kitten ssh, tsh ssh, assh, sshrc, zssh", How::Remote)
        .valued("-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -P -Q -R -S -W -w -pw -hostkey --proxy --cluster")
        .idle("-N -O -Q -V -G")
        .operands(1)
        .mixed()
        .fed()
        .remote(),
    row("mosh, et", How::Words).valued("-p --port --ssh --server --predict --client -n -c --family").operands(1).remote(),
    row("autossh", How::Remote).valued(AUTOSSH).idle("-N -V").operands(1).mixed().remote(),
    row("pdsh, dsh, clush, rexec", How::Remote)
        .valued("-w -x -g -l -f -t -u -R -X -m -o -b- --nodes --exclude --group --fanout")
        .remote(),
    row("pssh, parallel-ssh, prsync, pnuke, lsh, sshmulti", How::Remote)
        .valued("-h -H -l -p -o -e -t -O -x --hosts --host --user --par --outdir --errdir --timeout --option --extra-args")
        .remote(),
    row("ansible", How::Search(search::ansible)).remote(),
    row("salt, salt-ssh", How::Search(search::salt)).remote(),
    row("gcloud compute ssh, gcloud beta compute ssh, gcloud alpha compute ssh", How::Search(search::cloud_shell))
        .before("--project --configuration --account")
        .remote(),
    row("az vm run-command invoke, az ssh vm", How::Options).script("--scripts").mixed().remote(),
    row("aws ecs execute-command", How::Options).script("--command").mixed().contained(),
    row("vagrant ssh", How::Options).script("-c --command").mixed().remote(),
    row("fly ssh console, flyctl ssh console", How::Options).script("-C --command").mixed().contained(),
    row("multipass exec, orb run, lima, limactl shell, colima ssh, minikube ssh, docker-machine ssh, podman machine ssh", How::Search(search::machine)).remote(),
    row("adb shell, adb exec-out", How::Remote).before("-s -t -H -P -L").valued("-e").fed().remote(),
    row("wsl", How::Words).valued("-d -u --distribution --user --cd --shell-type").idle("-l --list --install --shutdown").mixed(),
    row("machinectl shell", How::Words).before("-M -H --machine --host").valued("-E --setenv --uid -M").operands(1).contained(),
    row("systemd-nspawn", How::Words)
        .valued(
            "-D -i -M -u -S -E -U- -x- --directory --image --machine --user --slice --setenv --bind --bind-ro \
             --capability --property --network-interface --chdir --template --tmpfs",
        )
        .fed()
        .contained(),
    row("docker exec, docker container exec, podman exec, podman container exec, nerdctl exec, nerdctl container exec, finch exec", How::Words)
        .before(DOCKER)
        .valued(EXEC)
        .operands(1)
        .contained(),
    row("docker run, docker container run, docker create, docker container create, podman run, podman container run, podman create, nerdctl run, nerdctl container run, finch run", How::Words)
        .before(DOCKER)
        .valued(RUN)
        .program("--entrypoint")
        .operands(1)
        .contained(),
    row("docker compose exec, podman compose exec, nerdctl compose exec, docker-compose exec, podman-compose exec", How::Words)
        .before(COMPOSE)
        .valued(EXEC)
        .operands(1)
        .contained(),
    row("docker compose run, podman compose run, nerdctl compose run, docker-compose run, podman-compose run", How::Words)
        .before(COMPOSE)
        .valued(RUN)
        .program("--entrypoint")
        .operands(1)
        .contained(),
    row("docker buildx, docker build", How::Options),
    row("podman unshare, buildah unshare", How::Words),
    row("buildah run", How::Words).valued("-v -e --volume --env --user --hostname --cap-add --cap-drop --mount --network --workingdir").operands(1).contained(),
    row("kubectl exec, oc exec, k exec, k3s kubectl exec, microk8s kubectl exec, minikube kubectl exec, kubecolor exec", How::Words)
        .before(KUBE)
        .valued(KUBE_EXEC)
        .operands(1)
        .mixed()
        .contained(),
    row("oc rsh", How::Words).before(KUBE).valued("-c --container --shell --timeout -n").operands(1).contained(),
    row("kubectl run, oc run, k run, kubectl debug, oc debug, k debug, minikube kubectl", How::Search(search::behind_dashes))
        .before(KUBE)
        .contained(),
    row("crictl exec, ctr task exec, ctr tasks exec, ctr t exec, runc exec, crun exec", How::Words)
        .before("-r -i -n -a --runtime-endpoint --image-endpoint --namespace --address --root")
        .valued("-e -u --exec-id --cwd --user --env --timeout")
        .operands(1)
        .contained(),
    row("lxc exec, incus exec", How::Words).valued("-T- --cwd --env --group --mode --user --project").operands(1).mixed().contained(),
    row("lxc-attach, lxc-execute", How::Words).valued("-n -P -o -l -s -R- -u -g -v --name --lxcpath --logfile --logpriority --set-var --uid --gid").fed().contained(),
    row("pct exec", How::Words).operands(1).contained(),
    row("qm guest exec", How::Words).operands(1).remote(),
    row("jexec", How::Words).valued("-u -U -d").operands(1).contained(),
    row("singularity exec, apptainer exec, singularity run, apptainer run, ch-run, udocker run, shifter", How::Words)
        .valued("-B -H -W -o -p- --bind --home --workdir --pwd --env --env-file --overlay --app --hostname --image --scratch -b -c -w-")
        .operands(1)
        .contained(),
    row("flatpak run", How::Options).contained(),
    row("flatpak-spawn", How::Words),
    row("toolbox run, distrobox enter, distrobox-enter, distrobox ephemeral", How::Words)
        .valued("-c -d -r -n --container --distro --release --name -a --additional-flags")
        .mixed()
        .contained(),
    row("nomad alloc exec, nomad exec", How::Words).valued("-task -job").operands(1).contained(),
    row("heroku run, scalingo run, dokku run", How::Remote).valued("-a -r -s -e --app --remote --size --env").contained(),
    row("eb ssh", How::Options).script("-c --command").mixed().remote(),
    row("knife ssh", How::First).operands(1).remote(),
    row("fab", How::Search(search::behind_dashes)).remote(),
    row("winrs, psexec, psexec.py, wmiexec.py, smbexec.py, impacket-psexec, impacket-wmiexec", How::Options),
];
