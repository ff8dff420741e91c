"""Commands of the documentation that no test runs, with the reason. The programs they call must exist."""

from __future__ import annotations

NOT_RUN: dict[str, tuple[str, ...]] = {
    "takes 430 MB of Debian packages; tests/scripts/test_build_tuxpaint_corpus.py": (
        "python scripts/build_tuxpaint_corpus.py corpora/tuxpaint",
        "python scripts/build_tuxpaint_corpus.py",
    ),
    "downloads published weights; tests/weights/test_fetch.py fetches from a local server": (
        "save-avs weights fetch sam-vit-b",
        "save-avs weights fetch vggish",
        "save-avs weights fetch cnn14-16k",
    ),
    "needs published weights; tests/models/audio/test_ports.py, tests/cli/test_data_features_command.py": (
        "save-avs data features s4 ROOT -o features",
        "save-avs data features s4 data/avsbench -o runs/features",
        "save-avs data features s4 archives --audio cnn14",
        "save-avs data features s4 archives --audio openl3-mel256-512 --weights openl3-music-mel256-512",
        "save-avs train s4-256 model.audio=cnn14 pretrained.audio=cnn14-16k",
    ),
    "takes minutes: hundreds of scenes; tests/evaluation/test_scene_evaluation.py, tests/studies": (
        "save-avs eval save-small --data scenes --corpus objects --scenes 100",
        "python -m studies audio-sensitivity --corpus corpora/tuxpaint --scenes 300",
        "python -m studies interpretability "
        "packages/save-avs-models/src/save_avs_models/sample.mp4 --corpus corpora/tuxpaint --scenes 100",
    ),
    "needs a copy of ESC-50; tests/scripts/test_join_esc50.py": (
        "python scripts/join_esc50.py objects --root ESC-50 -o objects-esc50",
    ),
    "takes half a minute; tests/runtimes/test_export.py exports a smaller model": (
        "save-avs export save-small --to onnx",
        "save-avs export runs/s4/model --to openvino -o s4-openvino --check clip.mp4",
    ),
    "exports for twenty seconds; tests/runtimes/test_runtimes.py does it with a smaller model": (
        "save-avs segment clip.mp4 --runtime openvino --precision fp32",
    ),
    "takes minutes and photographs; tests/training/test_teach_new_class.py, tests/models/test_prompting.py": (
        "save-avs teach kettle --images photos --sounds recordings",
        "save-avs segment clip.mp4 --model runs/teach/kettle",
    ),
    "needs S3 or a web server; tests/datasets/test_remote_folders.py, tests/datasets/test_remote_shards.py": (
        "save-avs data check s3://bucket/AVSBench",
        "save-avs eval save-tiny --data s4 --root s3://bucket/AVSBench",
        "save-avs train s4-256 stages.train.data.root=https://example.org/AVSBench",
        "save-avs train s4-256 stages.train.data.root=s3://bucket/shards/s4",
    ),
    "needs photographs with masks; tests/evaluation/test_real_photographs.py": (
        "save-avs eval save-small --data real --root photographs",
    ),
    "takes minutes; tests/cli/test_bench_command.py": ("save-avs bench --choose",),
    "starts Ray; tests/batch/test_batch_run.py": ("save-avs batch videos/ -o tables",),
    "tests/serving/test_attack.py sends them": ("python -m tests.support.attack",),
    "takes most of an hour; tests/hostile/test_hostile_input.py tries the quick ones": (
        "python -m tests.support.hostile.run_cases",
        "python -m tests.support.hostile.run_cases --quick",
        "python -m tests.support.hostile.run_cases masks/ pipe",
    ),
    "kills and disturbs programs for minutes; tests/faults, tests/batch/test_batch_run.py": (
        "python -m tests.support.faults.disturb --tries 2",
        "python -m tests.support.faults.disturb train SIGKILL",
        "python -m tests.support.batch_kills",
        "python -m tests.support.batch_cluster",
        "python benchmarks/soak.py --minutes 55 --servers 2 --pause 4",
        "python -m tests.support.server_kills",
    ),
    "needs root and minutes; tests/deploy checks the same files": (
        "scripts/check_image.sh",
        "python -m scripts.check_proxy",
    ),
    "takes half a minute; the tests of each part compare with the same references": (
        "python -m scripts.compare_with_ancestors",
    ),
    "runs the tests of six parts eighty times": (
        "python scripts/mutation_check.py",
        "python scripts/mutation_check.py losses 42",
    ),
    "needs atheris, which no check installs": ("python fuzz/parsers.py masks -max_total_time=120",),
    "belongs to an exported folder; tests/runtimes/test_export.py runs it there": (
        "python run.py example.npz masks.npz",
    ),
    "takes hours: trains every variant; tests/studies/test_grid_runs.py": (
        "python -m studies adapters",
        "python -m studies adapters --jobs 2",
        "python -m studies backbones --jobs 2 --runs compact,yamnet",
        "python -m studies compression --jobs 2",
        "python -m studies resolution --jobs 2",
        "python -m studies starting-point",
        "python -m studies batch-units --jobs 2",
        "python -m studies initialization --jobs 2",
        "python -m studies compose corpora/tuxpaint -o scenes/ms3 --layout ms3 --count 48",
        "python -m studies.curves curves.png 5 runs/studies/batch-units/*-seed*",
        "python -m studies compression --runs full,depthwise",
        "python -m studies adapters --report-only",
        "python -m studies adapters --recipe s4-256 stages.train.data.root=data/avsbench "
        "-o runs/studies/adapters-s4",
    ),
    "writes 660 MB, then trains ViT-B on it; tests/training/test_pipeline.py runs the same pipeline small": (
        "python scripts/make_random_weights.py tries/weights",
        "save-avs train s4-256 out=tries/run pretrained.sam=tries/weights/sam.pth "
        "pretrained.audio=tries/weights/vggish.pth stages.train.data.root=tries/s4 stages.train.epochs=2 "
        "precision=fp32 workers=0",
        "SAVE_AVS_CACHE=tries/weights save-avs eval tries/run/train/model --data s4 --root tries/s4 "
        "-o tries/report",
    ),
    "serves until it is stopped; tests/cli/test_serve_command.py, tests/serving/test_auth.py": (
        "save-avs serve",
        "save-avs serve --host 0.0.0.0",
        "export SAVE_AVS_TOKEN=$(openssl rand -hex 24)",
        "export SAVE_AVS_DATABASE=postgresql://save:PASSWORD@database.example.org/save",
        "save-avs serve --host 0.0.0.0 --data /mnt/save-avs",
        'curl -H "Authorization: Bearer $SAVE_AVS_TOKEN" -F file=@clip.mp4 http://server:7860/v1/segment',
    ),
    "needs a web server and a pipe; tests/inference/test_spooled_input.py has them": (
        "save-avs segment https://example.org/films/clip.mp4 -o out",
        "cat clip.mp4 | save-avs segment - -o out",
    ),
    "needs a camera or a stream; tests/cli/test_live_command.py has senders": (
        "save-avs live /dev/video0",
        "save-avs live /dev/video0 --audio-source alsa:default",
        "save-avs live rtsp://camera/stream --fps 5 --overlay live.mkv",
        "save-avs live udp://0.0.0.0:5000 --duration 60 > masks.jsonl",
    ),
    "needs the Hugging Face Hub; tests/weights/test_hub.py has a local server": (
        "save-avs segment clip.mp4 --model hf:owner/name",
    ),
}

# Programs that are not ours.
OTHERS = {
    "git": "a program of its own; tests/test_forge.py compares the addresses",
    "docker": "pulls images; scripts/check_image.sh builds the same file with podman",
    "kubectl": "needs a cluster; tests/deploy/test_deploy_files.py",
    "make": "tests/docs/test_commands.py looks the target up in the Makefile",
    "pip": "tests/docs/test_commands.py looks the extra up in pyproject.toml",
    "tensorboard": "a server",
}

# Blocks that another test runs whole, by their first command.
BLOCKS_ELSEWHERE = {
    "server=http://127.0.0.1:7860": "tests/serving/test_service_docs.py",
    "cd deploy": "tests/deploy/test_deploy_files.py checks what it starts",
}
