//! Programs that run another with the packages, versions, variables and secrets of a project.

use crate::line::wrap::row::{How, Wrapper, row};
use crate::line::wrap::{code, search};

pub(super) const TABLE: &[Wrapper] = &[
    row("npx, bunx, pnpx", How::Words).valued("-p --package -w --workspace").script("-c --call"),
    row("pnpm dlx, yarn dlx, pnpm exec, yarn exec, bun x, npm exec, npm x, lerna exec, rush-pnpm exec, deno x", How::Words)
        .before("-C --dir --prefix --cwd -w --workspace -F --filter")
        .valued("-p --package -w --workspace -F --filter --scope --concurrency")
        .script("-c --call"),
    row("poetry run, pipenv run, pdm run, rye run, hatch run, hatch env run, pixi run, flit run", How::Words)
        .before("-C -P -e --directory --project --env")
        .valued("-p --project -e --environment --env -m --manifest-path"),
    row("uv run, uvx, uv tool run, pipx run", How::Words)
        .before("--directory --project")
        .valued(
            "-p --python --with --with-editable --with-requirements --from --extra --group --only-group --package \
             --directory --project --env-file -m --module --index --index-url --spec --pip-args -i --cache-dir",
        ),
    row("conda run, mamba run, micromamba run", How::Words).valued("-n -p -r --name --prefix --cwd"),
    row("bundle exec, bundler exec, rbenv exec, pyenv exec, nodenv exec, goenv exec, jenv exec, plenv exec, tfenv exec", How::Words)
        .before("--gemfile"),
    row("rvm do, chruby-exec, asdf exec, nvm exec, nvm run, fnm exec, volta run", How::Words).valued("--using --node --npm").operands(0),
    row("mise exec, mise x, rtx exec, rtx x", How::Search(search::mise)),
    row("direnv exec", How::Words).operands(1),
    row("dotenv, dotenvx run, dotenv run, dotenv-cli, godotenv, dotenvy", How::Words)
        .valued("-f -e -v -p -o- -c- --file --env -fk")
        .idle("list get set"),
    row("env-cmd", How::Words).valued("-f -e -r --file --environments --rc-file"),
    row("cross-env, cross-env-shell", How::Words).assignments(),
    row("nix-shell", How::Options).script("--run --command").valued("-p -A -I -E --arg --argstr").mixed(),
    row("nix develop, nix shell, nix-develop", How::Words).program("-c --command --run").mixed().operands(0).valued("--override-input -f --file --expr --profile -k -s"),
    row("guix shell, guix environment", How::Search(search::behind_dashes)),
    row("devbox run, devenv shell, flox activate", How::Words).valued("-c -e --config --env -d -r").mixed(),
    row("op run, doppler run, infisical run, teller run, bws run, envchain, phase run, berglas exec, vaultenv", How::Search(search::behind_dashes)),
    row("aws-vault exec, chamber exec, saml2aws exec, granted exec, awsume exec, aws-okta exec", How::Search(search::behind_dashes)),
    row("sops exec-env, sops exec-file", How::First).operands(1),
    row("foreman run, heroku local:run, honcho run", How::Words).valued("-e -f -p --env --procfile"),
    row("ccache, distcc, sccache, icecc, bear, intercept-build, scan-build, compiledb, build-wrapper", How::Words)
        .valued("-o --output --cdb --append-")
        .idle("-s -c -C -M -z -V --show-stats --clear --cleanup --zero-stats --version --show-config -p -k -F"),
    row("git bisect run", How::Words).before("-C -c --git-dir --work-tree"),
    row("git submodule foreach", How::Joined).before("-C -c --git-dir --work-tree"),
    row("git rebase", How::Options).before("-C -c --git-dir --work-tree").script("-x --exec").mixed(),
    row("git filter-branch", How::Options)
        .before("-C -c --git-dir --work-tree")
        .script("--tree-filter --index-filter --msg-filter --env-filter --commit-filter --parent-filter --tag-name-filter")
        .mixed(),
    row("repo forall", How::Options).script("-c").mixed(),
    row("cargo watch, cargo-watch", How::Options).script("-s --shell").valued("-x -w -i -d -C").mixed(),
    row("nodemon, onchange, chokidar", How::Options).script("-x -c --exec --command").valued("-w -e -i --watch --ext --ignore").mixed(),
    row("coverage run, kcov, xvfb-run-safe", How::Options),
    row("sem", How::Search(search::parallel)),
    row("python, pypy, ipython, jython", How::Search(code::python)),
    row("perl", How::Search(code::perl)),
    row("ruby, jruby, irb", How::Search(code::ruby)),
    row("php, php-cli", How::Search(code::php)),
    row("node, nodejs, bun, deno", How::Search(code::node)),
    row("lua, luajit", How::Search(code::lua)),
    row("awk, gawk, mawk, nawk, goawk", How::Search(code::awk)),
    row("osascript", How::Search(code::apple)),
    row("Rscript, R", How::Search(code::r)),
    row("vim, vi, nvim, view, rvim, ex, vimdiff, sqlite3, psql, mysql, mariadb, lftp", How::Search(code::escapes)),
];
