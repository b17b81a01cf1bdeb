using System.Diagnostics;
using ILGPU;
using ILGPU.Runtime;

namespace Lamina.Compute.Gpu;

/// <summary>How fast an accelerator's memory is, by copying within it.</summary>
internal static class CopySpeed
{
    private const long Bytes = 256L << 20;
    private const int Repetitions = 5;

    /// <summary>Bytes read and written per second, the best of a few; 0 where the room for it is missing.</summary>
    public static double Measure(Accelerator accelerator)
    {
        try
        {
            return MeasureCopies(accelerator);
        }
        catch (AcceleratorException)
        {
            return 0;
        }
    }

    private static double MeasureCopies(Accelerator accelerator)
    {
        accelerator.Bind();
        using AcceleratorStream stream = accelerator.CreateStream();
        using MemoryBuffer1D<byte, Stride1D.Dense> source = accelerator.Allocate1D<byte>(Bytes), destination = accelerator.Allocate1D<byte>(Bytes);
        double best = 0;
        for (int i = 0; i <= Repetitions; i++)
        {
            stream.Synchronize();
            long start = Stopwatch.GetTimestamp();
            source.View.CopyTo(stream, destination.View);
            stream.Synchronize();
            best = Math.Max(best, i == 0 ? 0 : 2 * Bytes / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }
}
