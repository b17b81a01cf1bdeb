using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Lamina.Compute.Tests.Fuzzing;

/// <summary>
/// How long a fuzzer runs, and what no input may do: fail, take over a second of the processor, allocate over 256 megabytes for each second that it may take (what it
/// holds at any moment is a small part of that), let the process hold over a gigabyte. Without LAMINA_FUZZ_SECONDS a few seeded inputs; with it as many as fit
/// that time, from a seed of its own that a failure names. The last input of a long run lies in LAMINA_FUZZ_FOLDER, in UTF-16, for crashes that leave nothing else.
/// </summary>
internal sealed class FuzzRun
{
    private const long MostBytes = 1L << 30;

    private readonly string _name;
    private readonly Stopwatch _total = Stopwatch.StartNew();
    private readonly string? _folder = Environment.GetEnvironmentVariable("LAMINA_FUZZ_FOLDER");

    /// <param name="longest">Seconds of the processor that one input may take.</param>
    public FuzzRun(string name, double longest = 1)
    {
        _name = name;
        Longest = TimeSpan.FromSeconds(longest);
        Seconds = int.TryParse(Environment.GetEnvironmentVariable("LAMINA_FUZZ_SECONDS"), CultureInfo.InvariantCulture, out int seconds) ? seconds : 0;
        Seed = int.TryParse(Environment.GetEnvironmentVariable("LAMINA_FUZZ_SEED"), CultureInfo.InvariantCulture, out int seed) ? seed
            : Seconds > 0 ? Environment.TickCount & 0x3FFF_FFFF : 1;
    }

    private TimeSpan Longest { get; }

    private long MostAllocated => (long)(Longest.TotalSeconds * (256 << 20));

    /// <summary>0 for a short run.</summary>
    public int Seconds { get; }

    public int Seed { get; }

    public long Inputs { get; private set; }

    public TimeSpan Slowest { get; private set; }

    /// <summary>Most bytes that one input allocated.</summary>
    public long LargestInput { get; private set; }

    /// <summary>Most bytes of heap seen between two inputs.</summary>
    public long LargestHeap { get; private set; }

    public bool Continues(int iterations) => Seconds > 0 ? _total.Elapsed.TotalSeconds < Seconds : Inputs < iterations;

    /// <summary>Runs one input within the bounds; <paramref name="describe"/> gives it to whoever looks into a failure.</summary>
    public void Try(Action input, Func<string> describe)
    {
        if (Seconds > 0 && _folder is not null)
        {
            File.WriteAllBytes(Path.Combine(_folder, _name + ".last"), MemoryMarshal.AsBytes(describe().AsSpan()).ToArray());
        }

        TimeSpan taken = TimeSpan.MaxValue;
        long allocated = long.MaxValue;

        // By the thread's own processor time, since a loaded machine stops a thread for seconds; the collector may still work for it, so what is slow must be slow three times.
        for (int attempt = 0; attempt < 3 && taken > Longest; attempt++)
        {
            TimeSpan start = ThreadTime.Now;
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                input();
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"{_name}, seed {Seed}, input {Inputs}: {describe()}", exception);
            }

            TimeSpan now = ThreadTime.Now - start;
            taken = now < taken ? now : taken;
            allocated = Math.Min(allocated, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.True(taken <= Longest, $"{_name}, seed {Seed}, input {Inputs} takes {taken}: {describe()}");
        Assert.True(allocated <= MostAllocated, $"{_name}, seed {Seed}, input {Inputs} allocates {allocated >> 20} MiB: {describe()}");
        Slowest = taken > Slowest ? taken : Slowest;
        LargestInput = Math.Max(LargestInput, allocated);
        if (Inputs++ % 64 == 0)
        {
            LargestHeap = Math.Max(LargestHeap, HeapBytes());
            Assert.True(LargestHeap <= MostBytes, $"{_name}, seed {Seed}, input {Inputs} holds {LargestHeap >> 20} MiB: {describe()}");
        }
    }

    /// <summary>What is committed; where that is much, what of it is in use.</summary>
    private static long HeapBytes()
    {
        if (GC.GetGCMemoryInfo().TotalCommittedBytes > MostBytes / 2)
        {
            GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }

        return GC.GetGCMemoryInfo().TotalCommittedBytes;
    }

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"{_name}: {Inputs} inputs in {_total.Elapsed.TotalSeconds:f0} s, slowest {Slowest.TotalMilliseconds:f0} ms, {LargestInput >> 20} MiB allocated by one, heap at most {LargestHeap >> 20} MiB, seed {Seed}");
}
