namespace Lamina.EndToEnd.Tests;

/// <summary>Waits for a condition, never for a time.</summary>
internal static class Eventually
{
    public static Task TrueAsync(Func<Task<bool>> condition, TimeSpan limit, string otherwise) => TrueAsync(condition, limit, () => otherwise);

    /// <param name="otherwise">What the failure says, asked when it has come to that.</param>
    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan limit, Func<string> otherwise)
    {
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (System.Diagnostics.Stopwatch.GetElapsedTime(started) >= limit)
            {
                Assert.Fail(otherwise());
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20));
        }
    }

    public static Task TrueAsync(Func<bool> condition, TimeSpan limit, string otherwise) => TrueAsync(() => Task.FromResult(condition()), limit, otherwise);
}
