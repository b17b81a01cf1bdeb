using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.Intrinsics.X86;

namespace Lamina.Compute.Kernels;

/// <summary>
/// A compute thread with its helpers, which share jobs chunk by chunk. A helper that the operating system has put aside is not waited for:
/// only those that joined a job hold up its end. Not thread-safe: one caller at a time.
/// </summary>
public sealed unsafe class WorkerTeam : IDisposable
{
    // _state: job number in the upper half, then one bit that says whether helpers may still join, then how many are inside.
    private const ulong OpenBit = 1UL << 31;
    private const ulong InsideMask = OpenBit - 1;

    private readonly Helper[] _helpers;
    private readonly long _spinTicks;
    private ulong _state;
    private delegate*<void*, int, int, void> _execute;
    private void* _job;
    private int _chunks;
    private PaddedCounter _next;
    private ExceptionDispatchInfo? _failure;
    private bool _stopping;

    /// <param name="threads">Workers in all, the calling thread included.</param>
    /// <param name="variant">Instruction set for every kernel this team runs; the fastest available when null.</param>
    /// <param name="firstCore">When not negative, helper i is bound to core <paramref name="firstCore"/> + i (Linux only); the caller binds itself.</param>
    public WorkerTeam(int threads, CpuVariant? variant = null, int firstCore = -1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Variant = variant ?? CpuVariants.Chosen;
        _spinTicks = Stopwatch.Frequency / 20_000;
        _helpers = new Helper[threads - 1];
        for (int i = 0; i < _helpers.Length; i++)
        {
            Helper helper = _helpers[i] = new Helper();
            int worker = i + 1;
            helper.Thread = new Thread(() => Serve(helper, worker, firstCore < 0 ? -1 : firstCore + worker))
            {
                IsBackground = true,
                Name = $"compute-{worker}",
            };
            helper.Thread.Start();
        }
    }

    public int Workers => _helpers.Length + 1;

    public CpuVariant Variant { get; }

    /// <summary>Executes chunks 0 to <paramref name="chunks"/> − 1, each once, and returns when all are done. Rethrows the first exception of a chunk; the rest may then be left out.</summary>
    public void Run<TJob>(TJob job, int chunks) where TJob : struct, IJob
    {
        if (_helpers.Length == 0 || chunks <= 1)
        {
            for (int chunk = 0; chunk < chunks; chunk++)
            {
                job.Execute(chunk, 0);
            }

            return;
        }

        // The job lives on this stack frame, which outlasts every helper that joins.
        _job = Unsafe.AsPointer(ref job);
        _execute = &Execute<TJob>;
        _chunks = chunks;
        Volatile.Write(ref _next.Value, 0);
        ulong number = (_state >> 32) + 1;
        Interlocked.Exchange(ref _state, (number << 32) | OpenBit);
        foreach (Helper helper in _helpers)
        {
            if (helper.Parked != 0 && Interlocked.Exchange(ref helper.Parked, 0) != 0)
            {
                helper.Wake.Set();
            }
        }

        TakeChunks(0);
        Interlocked.And(ref _state, ~OpenBit);
        SpinWait wait = default;
        for (int spins = 0; (Volatile.Read(ref _state) & InsideMask) != 0; spins++)
        {
            if (spins < 2_000)
            {
                Pause();
            }
            else
            {
                // A helper lost its core within a chunk: let it have this one.
                wait.SpinOnce(sleep1Threshold: -1);
            }
        }

        if (_failure is { } failure)
        {
            _failure = null;
            failure.Throw();
        }
    }

    private static void Execute<TJob>(void* job, int chunk, int worker) where TJob : struct, IJob =>
        Unsafe.AsRef<TJob>(job).Execute(chunk, worker);

    private void TakeChunks(int worker)
    {
        try
        {
            void* job = _job;
            int chunks = _chunks;
            delegate*<void*, int, int, void> execute = _execute;
            for (int chunk; (chunk = Interlocked.Increment(ref _next.Value) - 1) < chunks;)
            {
                execute(job, chunk, worker);
            }
        }
        catch (Exception exception)
        {
            Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
            Volatile.Write(ref _next.Value, _chunks);
        }
    }

    private void Serve(Helper helper, int worker, int core)
    {
        if (core >= 0)
        {
            ThreadAffinity.BindCurrentThread(core);
        }

        ulong seen = 0;
        while (AwaitJob(helper, seen))
        {
            ulong state = Volatile.Read(ref _state);
            if ((state & OpenBit) == 0)
            {
                seen = state >> 32;
                continue;
            }

            if (Interlocked.CompareExchange(ref _state, state + 1, state) == state)
            {
                seen = state >> 32;
                TakeChunks(worker);
                Interlocked.Decrement(ref _state);
            }
        }
    }

    /// <summary>
    /// Returns true when there is another job than the last one seen, false when the team is being disposed. Whoever has seen the number that <see cref="Dispose"/> wrote finds
    /// <see cref="_stopping"/> set, and must ask for it first: that number is the last, and no other will differ from it.
    /// </summary>
    private bool AwaitJob(Helper helper, ulong seen)
    {
        while (!Volatile.Read(ref _stopping))
        {
            long deadline = Stopwatch.GetTimestamp() + _spinTicks;
            do
            {
                for (int i = 0; i < 32; i++)
                {
                    if (Volatile.Read(ref _state) >> 32 != seen)
                    {
                        return !Volatile.Read(ref _stopping);
                    }

                    Pause();
                }
            }
            while (Stopwatch.GetTimestamp() < deadline);

            Interlocked.Exchange(ref helper.Parked, 1);
            if (Volatile.Read(ref _state) >> 32 == seen)
            {
                helper.Wake.WaitOne();
            }

            Volatile.Write(ref helper.Parked, 0);
        }

        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Pause()
    {
        if (X86Base.IsSupported)
        {
            X86Base.Pause();
        }
        else
        {
            Thread.SpinWait(1);
        }
    }

    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        Volatile.Write(ref _stopping, true);
        Interlocked.Exchange(ref _state, ((_state >> 32) + 1) << 32);
        foreach (Helper helper in _helpers)
        {
            helper.Wake.Set();
            helper.Thread.Join();
            helper.Wake.Dispose();
        }
    }

    private sealed class Helper
    {
        public readonly AutoResetEvent Wake = new(false);
        public Thread Thread = null!;
        public int Parked;
    }

    // On cache lines of its own: workers hammer it while others only read the rest.
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 192)]
    private struct PaddedCounter
    {
        [System.Runtime.InteropServices.FieldOffset(64)]
        public int Value;
    }
}
