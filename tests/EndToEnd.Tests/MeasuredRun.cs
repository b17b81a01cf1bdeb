using System.Globalization;

namespace Lamina.EndToEnd.Tests;

/// <summary>
/// One run of the shipping executable to its end, with what it took: resident memory at its highest, and processor time, which other processes of a loaded machine do not lengthen.
/// Both are read from <c>/proc</c> until the process is gone, so they can miss its last milliseconds and never show too much.
/// </summary>
internal sealed record MeasuredRun(int ExitCode, string Output, string Error, long PeakBytes, TimeSpan ProcessorTime)
{
    private const int TicksPerSecond = 100, UserTicks = 11, SystemTicks = 12;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    public static Task<MeasuredRun> OfAsync(params string[] arguments) => Task.Factory.StartNew(() => Measure(arguments), TaskCreationOptions.LongRunning);

    private static MeasuredRun Measure(string[] arguments)
    {
        using LaminaProcess process = LaminaProcess.Start(arguments);
        long peak = 0, ticks = 0;
        Task exit = process.WaitForExitAsync(s_limit);
        while (!exit.Wait(TimeSpan.FromMilliseconds(2)))
        {
            (long bytes, long used) = Read(process.Id);
            (peak, ticks) = (Math.Max(peak, bytes), Math.Max(ticks, used));
        }

        return new MeasuredRun(process.ExitCode, process.Output, process.Error, peak, TimeSpan.FromSeconds((double)ticks / TicksPerSecond));
    }

    /// <summary>Zeros where the process has ended.</summary>
    private static (long PeakBytes, long Ticks) Read(int processId)
    {
        try
        {
            string? peak = File.ReadLines($"/proc/{processId}/status").FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            string times = File.ReadAllText($"/proc/{processId}/stat");
            string[] fields = times[(times.LastIndexOf(')') + 2)..].Split(' ');
            return (peak is null ? 0 : Number(peak["VmHWM:".Length..^" kB".Length]) << 10, Number(fields[UserTicks]) + Number(fields[SystemTicks]));
        }
        catch (IOException)
        {
            return (0, 0);
        }
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
