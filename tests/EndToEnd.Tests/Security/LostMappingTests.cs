namespace Lamina.EndToEnd.Tests.Security;

public sealed class LostMappingTests
{
    /// <summary>What the kernel does to a process whose mapped file was shortened is a signal; the process says so in one sentence and ends, instead of dumping its stacks.</summary>
    [Trait("Attack", "A13")]
    [Fact]
    public async Task Process_ThatLosesAMappedFile_EndsWithOneSentence()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the signal is one of Linux");
        const int BusError = 7;
        using LaminaProcess serve = LaminaProcess.Start("serve", "--listen", "127.0.0.1:0");
        await serve.WaitForLineAsync("API at", TimeSpan.FromSeconds(240));
        LaminaProcess.Send(serve.Id, BusError);
        await serve.WaitForExitAsync(TimeSpan.FromSeconds(180));
        Assert.Equal(1, serve.ExitCode);
        string last = serve.Error.Trim().Split('\n')[^1];
        Assert.Equal("lamina: a file that was being read, most likely a model, was shortened by another program or its disk failed", last);
    }
}
