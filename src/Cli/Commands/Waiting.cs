namespace Lamina.Cli.Commands;

internal static class Waiting
{
    /// <summary>Returns when the user asks to stop.</summary>
    public static async Task UntilCancelled(CancellationToken cancellation)
    {
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using CancellationTokenRegistration registration = cancellation.Register(asked.SetResult);
        await asked.Task;
    }
}
