using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Lamina.Node.Hosting;

/// <summary>How fast this machine streams memory, which bounds how fast it decodes: the planner's measure of a node.</summary>
internal static unsafe class MemorySpeed
{
    private const int BytesPerThread = 32 << 20;
    private const int Passes = 3;

    /// <summary>Bytes per second that <paramref name="threads"/> threads read together; the best of a few short passes.</summary>
    public static long Measure(int threads)
    {
        nuint bytes = (nuint)threads * BytesPerThread;
        byte* memory = (byte*)NativeMemory.AlignedAlloc(bytes, 64);
        try
        {
            NativeMemory.Fill(memory, bytes, 1);
            double best = 0;
            for (int pass = 0; pass < Passes; pass++)
            {
                long start = Stopwatch.GetTimestamp();
                Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, thread => Read((Vector<byte>*)(memory + ((long)thread * BytesPerThread))));
                best = Math.Max(best, bytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            return (long)best;
        }
        finally
        {
            NativeMemory.AlignedFree(memory);
        }
    }

    private static void Read(Vector<byte>* data)
    {
        Vector<byte> a = default, b = default, c = default, d = default;
        int count = BytesPerThread / Vector<byte>.Count;
        for (int i = 0; i < count; i += 4)
        {
            a ^= data[i];
            b ^= data[i + 1];
            c ^= data[i + 2];
            d ^= data[i + 3];
        }

        // The sum is needed, or the loop would be free to vanish.
        s_sink = Vector.Sum(a ^ b ^ c ^ d);
    }

    private static volatile byte s_sink;
}
