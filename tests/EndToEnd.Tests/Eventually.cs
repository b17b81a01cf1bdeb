namespace Lamina.EndToEnd.Tests;

/// <summary>Waits for a condition, never for a time.</summary>
internal static class Eventually
{
    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan limit, string otherwise)
    {
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        while (!await condition())
        {
            Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(started) < limit, otherwise);
            await Task.Delay(TimeSpan.FromMilliseconds(20));
        }
    }

    public static Task TrueAsync(Func<bool> condition, TimeSpan limit, string otherwise) => TrueAsync(() => Task.FromResult(condition()), limit, otherwise);
}
