using System.Reflection;
using Microsoft.Playwright;

namespace Koala.Kernel.Tests.Browser;

/// <summary>The system's Chromium, driven by Playwright. All tests of a class share one.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private static readonly string[] s_names = ["chromium", "chromium-browser", "google-chrome"];

    private static readonly string? s_program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .SelectMany(folder => s_names.Select(name => Path.Combine(folder, name)))
        .FirstOrDefault(File.Exists);

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async ValueTask InitializeAsync()
    {
        if (s_program is null) return;
        var metadata = typeof(Chromium).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>();
        var package = metadata.Single(a => a.Key == "PlaywrightPackage").Value;
        Environment.SetEnvironmentVariable("PLAYWRIGHT_DRIVER_SEARCH_PATH", package);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = s_program, Timeout = 120_000 });
    }

    /// <summary>Opens a page that has no network. If there is no Chromium, the test is skipped.</summary>
    /// <param name="scheme">Whether the page is light or dark.</param>
    /// <param name="offline">Whether it has no network, not even this machine's own.</param>
    internal async Task<IPage> NewPageAsync(ColorScheme scheme, bool offline = true)
    {
        Assert.SkipWhen(_browser is null, "there is no Chromium on the path");
        var context = await _browser.NewContextAsync(new() { ColorScheme = scheme, Offline = offline });
        return await context.NewPageAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null) await _browser.DisposeAsync();
        _playwright?.Dispose();
    }
}
