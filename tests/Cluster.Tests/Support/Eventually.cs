namespace Lamina.Cluster.Tests.Support;

/// <summary>Waits for a condition, for as long as a slow machine may need.</summary>
internal static class Eventually
{
    public static Task TrueAsync(Func<bool> condition, int seconds = 20) => TrueAsync(() => Task.FromResult(condition()), seconds);

    public static async Task TrueAsync(Func<Task<bool>> condition, int seconds = 20)
    {
        for (long until = Environment.TickCount64 + (seconds * 1000L); ;)
        {
            if (await condition())
            {
                return;
            }

            Assert.True(Environment.TickCount64 < until, "the condition did not come true in time");
            await Task.Delay(10);
        }
    }
}
