require 'rails'
require 'action_controller/railtie'
require 'action_mailer/railtie'
begin
  require 'web_console'
rescue LoadError
  nil
end

class Shop < Rails::Application
  config.load_defaults 6.1
  config.eager_load = false
  config.consider_all_requests_local = true
  config.secret_key_base = 'of the project'
  config.hosts.clear
  config.logger = Logger.new($stderr)
  routes.append do
    root to: 'shop#index'
    get 'boom', to: 'shop#boom'
  end
end

class ShopController < ActionController::Base
  def index
    render inline: '<!doctype html><title>shop</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css"><h1 id="headline">before</h1>'
  end

  def boom
    raise "no such #{ENV['APP_SECRET'].size}"
  end
end

Shop.initialize!
run Shop
