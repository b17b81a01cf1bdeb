"""Half-precision matrix rate and copy bandwidth of the first GPU, as PyTorch reaches them: one JSON object."""
import json
import torch


def best(work, repetitions=20):
    """Milliseconds of the fastest of several runs."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repetitions):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return min(times)


size = 8192
a = torch.randn(size, size, dtype=torch.float16, device="cuda")
b = torch.randn(size, size, dtype=torch.float16, device="cuda")
matrix = 2 * size**3 / (best(lambda: a @ b) * 1e-3)
source = torch.empty(4 << 30, dtype=torch.uint8, device="cuda")
target = torch.empty_like(source)
copy = 2 * source.numel() / (best(lambda: target.copy_(source)) * 1e-3)
print(json.dumps({"device": torch.cuda.get_device_name(0), "halfFlopsPerSecond": matrix, "copyBytesPerSecond": copy}))
